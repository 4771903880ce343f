"""table.md: the report as one Markdown document, for a pull request or a README."""

from __future__ import annotations

from sgbench.report.answers.summary import Words
from sgbench.report.page.content import Section
from sgbench.report.select_rows import Selection
from sgbench.report.tables.bold import bold_cells
from sgbench.report.tables.columns import readable_table
from sgbench.report.tables.markdown import markdown_table, without_tags
from sgbench.suite.schema import Suite

ERRORS = (
    "Errors are one standard error (delete-a-group jackknife; exact for means; by prompt for prompts), intervals 95 %. "
    "Bold is the best value of a model and what does not differ from it significantly (paired). Beside a distance "
    "stand its bias-corrected value and what as many real images score."
)


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
