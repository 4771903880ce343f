"""table.md: the report as one Markdown document, for a pull request or a README."""

import re

import pandas as pd

from sgbench.base.printable import printable
from sgbench.report.answers.answer import Section
from sgbench.report.answers.summary import Words
from sgbench.report.select_rows import Selection
from sgbench.report.tables.columns import bold_cells, readable_table
from sgbench.suite.schema import Suite

ERRORS = (
    "Errors are one standard error (delete-a-group jackknife; exact for means; clustered by prompt for prompt-based "
    "metrics), intervals are 95 %. Bold marks the best value of each model and all that do not differ from it "
    "significantly (paired). Next to a distance are its bias-corrected value and the score of the same number of real "
    "images."
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
    """Text on one line without HTML tags; Markdown stays."""
    return TAG.sub(r"\\<", printable(" ".join(text.split())))


def markdown_table(table: pd.DataFrame, bold: pd.DataFrame | None = None) -> str:
    """A table without its index; `bold`, of the same shape, marks the cells in bold."""
    cells = pd.DataFrame({name: [_cell(value) for value in table[name]] for name in table.columns})
    if bold is not None:
        for name in cells.columns:
            marked = bold[name].to_numpy() & (cells[name] != "").to_numpy()
            cells[name] = cells[name].mask(marked, "**" + cells[name] + "**")
    headings = [_cell(name) for name in table.columns]
    # Without parsing, which would cut trailing zeros that are significant.
    return str(cells.to_markdown(index=False, headers=headings, disable_numparse=True))


def _cell(value: object) -> str:
    if value is None or value != value:
        return ""
    return SPECIAL.sub(r"\\\1", " ".join(str(value).split()))
