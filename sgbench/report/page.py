"""index.html: one self-contained file, every value escaped, no request to anywhere."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any, NamedTuple

import jinja2
import pandas as pd
from markupsafe import Markup

from sgbench.guidance import RULES
from sgbench.models import catalogue
from sgbench.models.catalogue import Entry
from sgbench.report.gallery import Picture
from sgbench.sampling.randomness import labels
from sgbench.suite.prompts import Prompt, load_prompts
from sgbench.suite.schema import Suite
from sgbench.zoo import weights

PICTURES = 20


class Figures(NamedTuple):
    """The figures of one model as SVG, by file name."""

    model: str
    svgs: dict[str, bytes]


def render_page(
    suite: Suite,
    rows: pd.DataFrame,
    headline: Sequence[str],
    others: Sequence[str],
    opinions: Sequence[str],
    summary: pd.DataFrame,
    groups: pd.DataFrame,
    table: pd.DataFrame,
    figures: Sequence[Figures],
    pictures: Sequence[Picture],
    protocols: Sequence[str],
    made_by: dict[str, Any],
    command: str,
    one_device: bool,
) -> bytes:
    """The page as UTF-8."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string((resources.files("sgbench.report") / "page.html.j2").read_text("utf-8"))
    models = [catalogue.entry(name) for name in dict.fromkeys(rows["model"])]
    first = rows.iloc[0]
    text = template.render(
        suite=suite,
        headline=headline,
        others=others,
        opinions=opinions,
        summary=summary.to_dict("split"),
        groups=groups.to_dict("split"),
        prompts=_asked(suite),
        table=table.to_dict("split"),
        figures=[(f.model, [(name, Markup(inline_svg(svg, name))) for name, svg in f.svgs.items()]) for f in figures],
        pictures=[(p, base64.b64encode(p.png).decode()) for p in pictures],
        rules=[RULES[name] for name in dict.fromkeys(rows["guidance"])],
        models=[(m, model_card(m, str(_digest_of(rows, m.name)))) for m in models],
        protocols=protocols,
        made_by=made_by,
        command=command,
        one_device=one_device,
        cells=len(rows),
        floor=(first["quality_floor"], first["quality_floor_sd"]),
        device=f"{first['device']}, {first['threads']} threads",
    )
    return text.encode()


def _asked(suite: Suite) -> list[Prompt]:
    """The prompts of the pictures in a gallery, in their order."""
    if not suite.prompts:
        return []
    prompts = load_prompts(suite.prompts).prompts
    return [prompts[n] for n in labels(suite.seed, range(PICTURES), len(prompts), suite.labels)]


def model_card(model: Entry, sha256: str) -> dict[str, str]:
    """What the page says of a model: of a packaged one what its card says, of others what is known of their files."""
    if model.main.kind == "packaged":
        card = weights.card(model.name)
        told = {key: str(card[key]) for key in ("summary", "licence")}
        return {**told, "parameters": f"{card['parameters']:,}", "sha256": card["files"]["final"]["sha256"]}
    licence = "not stated" if model.public is None else model.public.licence
    summary = f"{model.family.title} ({model.family.source})"
    return {"summary": summary, "licence": licence, "parameters": "", "sha256": sha256}


def _digest_of(rows: pd.DataFrame, model: str) -> object:
    return rows.loc[rows["model"] == model, "checkpoint_sha256"].iloc[0]


def inline_svg(svg: bytes, name: str) -> str:
    """An SVG file as an element of a page: no prologue, ids of its own, a name for screen readers."""
    text = svg.decode()
    text = text[text.index("<svg") :]
    prefix = re.sub(r"\W", "-", name)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'(xlink:href="|url\()#', rf"\1#{prefix}-", text)
    return text.replace("<svg", f'<svg role="img" aria-label="{prefix}"', 1)
