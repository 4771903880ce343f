"""From a page's content to its HTML.

Vega, Vega-Lite and vega-embed come from the package vl-convert-python; the page's policy allows its own scripts only.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import jinja2
import pandas as pd
from markupsafe import Markup

from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS
from sgbench.report.figures.plotting import FORMATS
from sgbench.report.page.content import Content, Figure, Picture
from sgbench.report.page.payload import payload
from sgbench.report.page.svg import inline_svgs
from sgbench.report.page.text import output, said, visible
from sgbench.report.tables.columns import short

SCRIPTS = ("data.js", "filters.js", "frontier.js", "chart.js", "table.js", "detail.js", "page.js")
# Longer lists are collapsed, sentences after the first few.
MOST_SENTENCES, MOST_LINES, MOST_FIGURES = 4, 12, 4
EMBEDDED_BYTES = 1_400_000
# Narrower pictures are shown enlarged, with sharp pixels.
PIXELATED_WIDTH = 700


class Page(NamedTuple):
    """The page as UTF-8, and the pictures that it needs as files next to it."""

    html: bytes
    external: list[Picture]


def render_page(content: Content) -> Page:
    """The page. The same content gives the same bytes as long as the JavaScript library keeps its version."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, finalize=output, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(said=said, grid=grid)
    sources, external = place([content.strips, list(content.cells.values())])
    charted = bool(content.metrics and content.axes)
    script = as_script("\n".join(_asset(name) for name in SCRIPTS))
    vega = library() if charted else ""
    figures, drawn_with = _by_model(content.figures)
    linked = {f"{figure.name}.{kind}" for figure in content.figures for kind in FORMATS}
    text = environment.from_string(_asset("page.html.j2")).render(
        c=content,
        charted=charted,
        policy=Markup(policy([code for code in (vega, script) if code], bool(external))),
        style=Markup(_asset("page.css")),
        script=Markup(script),
        library=Markup(vega),
        library_name=library_name(),
        payload=Markup(payload(content, sources)),
        sources=sources,
        pixelated=PIXELATED_WIDTH,
        figures=figures,
        drawn_with=drawn_with,
        formats=FORMATS,
        folded=len(content.figures) > MOST_FIGURES,
        files=[file for file in content.files if file not in linked],
        most_sentences=MOST_SENTENCES,
        most_lines=MOST_LINES,
        floor=_floor(content),
        rules=[RULES[rule] for rule in RULES if rule in set(content.rows["guidance"])],
    )
    return Page(text.lstrip().encode(), external)


def _asset(name: str) -> str:
    return (resources.files("sgbench.report.page") / name).read_text("utf-8")


def grid(table: pd.DataFrame) -> dict[str, Any]:
    """A table as headers and lines of text, and which columns hold numbers; what is missing is empty."""
    kinds = [pd.api.types.is_numeric_dtype(table[name]) for name in table]
    lines = [[_text(value) for value in line] for line in table.itertuples(index=False, name=None)]
    return {"columns": list(map(str, table.columns)), "numbers": kinds, "lines": lines}


def _text(value: Any) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _by_model(figures: Sequence[Figure]) -> tuple[dict[str, list[tuple[Figure, Markup]]], Markup]:
    """The figures of each model with their SVG elements, and what all of them are drawn with."""
    names = [visible(f"{figure.model}: {figure.title}") for figure in figures]
    elements, shared = inline_svgs([figure.svg for figure in figures], names)
    found: dict[str, list[tuple[Figure, Markup]]] = {}
    for figure, element in zip(figures, elements, strict=True):
        found.setdefault(figure.model, []).append((figure, Markup(element)))
    return found, Markup(shared)


def _floor(content: Content) -> str:
    """The score of the same number of real images, in a sentence; empty where the reference has none held out."""
    metric = content.metrics[0] if content.metrics else ""
    if f"{metric}_floor" not in content.rows or content.rows[f"{metric}_floor"].isna().all():
        return ""
    known = content.rows.dropna(subset=f"{metric}_floor")
    floor, spread = known.iloc[0][[f"{metric}_floor", f"{metric}_floor_sd"]]
    between = f"; standard deviation between sets {short(spread)}" if spread == spread else ""
    name = METRICS[metric].title
    return f"The same number of real test images scores {short(floor)} in {name} (real-image baseline{between})."


def place(groups: Sequence[Sequence[Picture]]) -> tuple[dict[str, str], list[Picture]]:
    """Addresses of all pictures by file, and the pictures outside of the page: groups of over 1.4 MB as data URIs."""
    sources: dict[str, str] = {}
    external: list[Picture] = []
    for group in groups:
        inside = sum(len(picture.data) for picture in group) * 4 / 3 < EMBEDDED_BYTES
        sources |= {picture.file: _data_uri(picture) if inside else picture.file for picture in group}
        external += [] if inside else group
    return sources, external


def _data_uri(picture: Picture) -> str:
    return f"data:{picture.media};base64,{base64.b64encode(picture.data).decode()}"


@cache
def library() -> str:
    """The script that defines `vegaEmbed`, safe inside an element; takes seconds once per process."""
    import vl_convert

    # In a block, so that its names stay its own; what it offers it hangs on `window`.
    bundle = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # The stub knows no bundle without a snippet.
    return "{" + as_script(bundle) + "}"


def library_name() -> str:
    """The versions of what `library` holds."""
    import vl_convert

    return f"vega {vl_convert.get_vega_version()}, vega-embed {vl_convert.get_vega_embed_version()}"


def as_script(code: str) -> str:
    """Code that is safe inside a script element: nothing in it ends the element or opens a comment."""
    return re.sub(r"<(?=/script|!--)", r"\\x3c", code, flags=re.IGNORECASE)


def policy(scripts: Sequence[str], outside: bool) -> str:
    """The Content-Security-Policy of a page with these scripts; `outside` allows pictures from files."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    pictures = "data: 'self' file:" if outside else "data:"
    # Scripts by their digests alone: Vega interprets its expressions and needs no eval. Styles stay open, because
    # figures and Vega carry them as attributes, which have no digests.
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src {pictures}; "
        "base-uri 'none'; form-action 'none'"
    )
