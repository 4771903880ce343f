"""table.md: the report as one Markdown document, for a pull request or a README."""

from __future__ import annotations

import re

import pandas as pd

from sgbench.base.printable import printable
from sgbench.report.answers.answer import Section
from sgbench.report.answers.summary import Words
from sgbench.report.select_rows import Selection
from sgbench.report.tables.columns import bold_cells, readable_table
from sgbench.suite.schema import Suite

ERRORS = (
    "Errors are one standard error (delete-a-group jackknife; exact for means; by prompt for prompts), intervals 95 %. "
    "Bold is the best value of a model and what does not differ from it significantly (paired). Beside a distance "
    "stand its bias-corrected value and what as many real images score."
)
TAG = re.compile(r"<(?=[A-Za-z/!?])")
# Ends a cell, begins emphasis, code or a tag; a tilde strikes out.
SPECIAL = re.compile(r"([\\|*_`<>~])")


def markdown(suite: Suite, selected: Selection, words: Words, protocols: list[str]) -> str:
    """Summary, what is missing, sections, all cells, protocols."""
    parts = [
        f"# {without_tags(suite.title)}",
        "",
        *_bullets(words.summary),
        *(["## Missing", "", *_bullets(selected.missing)] if selected.missing else []),
        *(line for section in words.sections for line in _section(section)),
    ]
    if selected.metrics:
        table = readable_table(selected.rows)
        parts += ["## All cells", "", markdown_table(table, bold_cells(table, selected.rows)), "", ERRORS, ""]
    if protocols:
        parts += ["## Protocol", "", *_bullets(protocols)]
    return "\n".join(parts)


def _section(section: Section) -> list[str]:
    return [
        f"## {section.title}",
        "",
        *([markdown_table(section.table), ""] if section.table is not None else []),
        *_bullets(section.sentences),
        *([section.note, ""] if section.note else []),
    ]


def _bullets(sentences: list[str]) -> list[str]:
    return [*(f"- {without_tags(s)}" for s in sentences), ""] if sentences else []


def without_tags(text: str) -> str:
    """Text on one line in which nothing begins a tag of HTML; Markdown of ours stays."""
    return TAG.sub(r"\\<", printable(" ".join(text.split())))


def markdown_table(table: pd.DataFrame, bold: pd.DataFrame | None = None) -> str:
    """A table without its index; `bold` says of each cell, in the same shape, whether it is in bold."""
    cells = pd.DataFrame({name: [_cell(value) for value in table[name]] for name in table.columns})
    if bold is not None:
        for name in cells.columns:
            marked = bold[name].to_numpy() & (cells[name] != "").to_numpy()
            cells[name] = cells[name].mask(marked, "**" + cells[name] + "**")
    headings = [_cell(name) for name in table.columns]
    # Numbers are aligned by their own digits: a parser would cut trailing zeros, which an error has earned.
    return str(cells.to_markdown(index=False, headers=headings, disable_numparse=True))


def _cell(value: object) -> str:
    if value is None or value != value:
        return ""
    return SPECIAL.sub(r"\\\1", " ".join(str(value).split()))
