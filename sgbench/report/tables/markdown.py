"""A table as Markdown: digits as they are, nothing in a cell that Markdown would read as its own."""

from __future__ import annotations

import re

import pandas as pd

from sgbench.base.printable import printable

TAG = re.compile(r"<(?=[A-Za-z/!?])")
# Ends a cell, begins emphasis, code or a tag; a tilde strikes out.
SPECIAL = re.compile(r"([\\|*_`<>~])")


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
