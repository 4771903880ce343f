"""From a page's content to its HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from typing import Any, NamedTuple

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from sgbench.guidance import RULES
from sgbench.report.page.content import Content, Figure, Picture
from sgbench.report.page.library import as_script, library, library_name, policy
from sgbench.report.page.payload import payload
from sgbench.report.page.pictures import PIXELATED_WIDTH, place
from sgbench.report.page.svg import inline_svg

SCRIPTS = ("data.js", "filters.js", "frontier.js", "table.js", "detail.js", "page.js")
# What is longer than this stands folded.
MOST_SENTENCES, MOST_LINES, MOST_FIGURES = 6, 12, 4


class Page(NamedTuple):
    """The page as UTF-8, and the pictures that it expects beside itself."""

    html: bytes
    external: list[Picture]


def render_page(content: Content) -> Page:
    """The page. The same content gives the same bytes as long as the JavaScript library keeps its version."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(said=said, grid=grid)
    placed = place([content.strips, list(content.cells.values())])
    charted = bool(content.metrics and content.axes)
    script = as_script("\n".join(_asset(name) for name in SCRIPTS))
    vega = library() if charted else ""
    text = environment.from_string(_asset("page.html.j2")).render(
        c=content,
        charted=charted,
        policy=Markup(policy([code for code in (vega, script) if code], bool(placed.external))),
        style=Markup(_asset("page.css")),
        script=Markup(script),
        library=Markup(vega),
        library_name=library_name(),
        payload=Markup(payload(content, placed.sources)),
        sources=placed.sources,
        pixelated=PIXELATED_WIDTH,
        figures=_by_model(content.figures),
        folded=len(content.figures) > MOST_FIGURES,
        long=[_long(s.sentences, s.table) for s in content.sections],
        floor=_floor(content),
        rules=[RULES[rule] for rule in RULES if rule in set(content.rows["guidance"])],
    )
    return Page(text.lstrip().encode(), placed.external)


def _asset(name: str) -> str:
    return (resources.files("sgbench.report.page") / name).read_text("utf-8")


def said(sentence: str) -> Markup:
    """A sentence, with what stands between backticks as code."""
    parts = re.split(r"`([^`]+)`", sentence)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if n % 2 else escape(part) for n, part in enumerate(parts)
    )


def grid(table: pd.DataFrame) -> dict[str, Any]:
    """A table as headers and lines of text, and which columns hold numbers; what is missing is empty."""
    kinds = [pd.api.types.is_numeric_dtype(table[name]) for name in table]
    lines = [[_text(value) for value in line] for line in table.itertuples(index=False, name=None)]
    return {"columns": list(map(str, table.columns)), "numbers": kinds, "lines": lines}


def _text(value: Any) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _long(sentences: Sequence[str], table: pd.DataFrame | None) -> bool:
    return len(sentences) > MOST_SENTENCES or (table is not None and len(table) > MOST_LINES)


def _by_model(figures: Sequence[Figure]) -> dict[str, list[tuple[Figure, Markup]]]:
    """The figures of each model with their elements; ids are numbered, since names may not fit to be ids."""
    found: dict[str, list[tuple[Figure, Markup]]] = {}
    for number, figure in enumerate(figures, start=1):
        element = Markup(inline_svg(figure.svg, f"figure-{number}", figure.title))
        found.setdefault(figure.model, []).append((figure, element))
    return found


def _floor(content: Content) -> str:
    """What as many real images score, in a sentence; empty where the reference has none to spare."""
    rows = content.rows
    if not content.metrics or f"{content.metrics[0]}_floor" not in rows:
        return ""
    known = rows[rows[f"{content.metrics[0]}_floor"].notna()]
    if known.empty:
        return ""
    floor, spread = known.iloc[0][[f"{content.metrics[0]}_floor", f"{content.metrics[0]}_floor_sd"]]
    between = f" (standard deviation {spread:.3f} between sets)" if spread == spread else ""
    return (
        f"Real test images at the same number lie at a distance of {floor:.3f} from the reference: the floor{between}."
    )
