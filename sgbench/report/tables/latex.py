"""LaTeX tables for a paper: booktabs, best and tied values in bold, a caption that explains the numbers."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from sgbench.metrics.catalogue import METRICS
from sgbench.report.select_rows import quality_metric
from sgbench.report.tables.columns import best_rows, bold_cells, readable_table
from sgbench.suite.schema import Suite

# Longer tables break over pages: a float is one page at most.
LINES = 60
# Width of a one-column page in characters of \scriptsize, and the gap between columns.
WIDTH, GAP = 92, 3
TEXTS = ("rule", "settings", "standing")
COSTS = ("GMACs/image", "ms/image", "J/image")
ARROWS = {"lower": r"~$\downarrow$", "higher": r"~$\uparrow$", "": ""}
ERRORS = (
    r"$\pm$ is one standard error (delete-a-group jackknife; exact for means; clustered by prompt for prompt-based "
    r"metrics). Bold: the best value of a model, and all whose paired difference to it is not significant "
    r"(95\,\% interval)."
)
_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "_": r"\_",
        "&": r"\&",
        "%": r"\%",
        "#": r"\#",
        "$": r"\$",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        # A bracket after a line break would be read as its option.
        "[": "{[}",
        "]": "{]}",
        "\N{PLUS-MINUS SIGN}": r"$\pm$",
        "\N{MULTIPLICATION SIGN}": r"$\times$",
        "\N{GREEK SMALL LETTER GAMMA}": r"$\gamma$",
        "\N{MINUS SIGN}": "$-$",
    }
)


def latex_tables(suite: Suite, rows: pd.DataFrame, metrics: Sequence[str]) -> dict[str, str]:
    """`table.tex`, all cells, and `table-best.tex`, the best cell of each rule, by name.

    Rows have a quality; `metrics` are those that they hold. Each file is complete, to be \\input into a document that
    loads the packages which its first line names. Lines are grouped by model; bold values are
    relative to the same table and model.
    """
    readable, best = readable_table(rows), best_rows(rows)
    chosen = f"the best cell of each guidance rule by {METRICS[quality_metric(rows)].title}"
    return {
        "table.tex": _document(readable, rows, metrics, _caption(suite, rows, metrics, "every cell"), suite.suite),
        "table-best.tex": _document(
            readable.loc[best.index].drop(columns="standing"),
            best,
            metrics,
            _caption(suite, rows, metrics, chosen),
            f"{suite.suite}-best",
        ),
    }


def escape(text: object) -> str:
    """Any text on one line, escaped for LaTeX."""
    return " ".join(str(text).split()).translate(_ESCAPES)


def _caption(suite: Suite, rows: pd.DataFrame, metrics: Sequence[str], which: str) -> str:
    models = list(dict.fromkeys(rows["model"]))
    asked = f"{suite.labels} {'prompts of ' + suite.prompts if suite.prompts else 'labels'}"
    against = f", against {suite.reference}" if suite.reference else ""
    said = [
        f"{suite.title}: {which}.",
        *([f"Model: {models[0]}."] if len(models) == 1 else []),
        f"Scores: {', '.join(METRICS[metric].title for metric in metrics)}; arrows point to better values.",
        f"N = {suite.samples} images per cell, {asked}{against}.",
        "GMACs count every multiply-accumulate of sampling an image; ms is its sampling time.",
    ]
    return f"{escape(' '.join(said))} {ERRORS}"


def _document(table: pd.DataFrame, rows: pd.DataFrame, metrics: Sequence[str], caption: str, label: str) -> str:
    bold = bold_cells(table, rows)
    parts = [_body(table[names], table["model"], bold[names]) for names in _parts(table, metrics)]
    long = len(parts) * len(table) > LINES
    protocols = [
        f"% protocol of {METRICS[metric].title}: {', '.join(sorted(set(rows[f'{metric}_protocol'].dropna())))}"
        for metric in metrics
        if f"{metric}_protocol" in rows
    ]
    packages = r"% Needs \usepackage{booktabs}" + (r" and \usepackage{longtable}." if long else ".")
    shape = _broken if long else _floating
    return "\n".join([packages, *protocols, *shape(parts, rf"\caption{{{caption}}}", rf"\label{{tab:{label}}}"), ""])


def _parts(table: pd.DataFrame, metrics: Sequence[str]) -> list[list[str]]:
    """The columns of each part that fits the width of a page; every part begins with rule and settings."""
    names = [*TEXTS[2:], *COSTS, *(METRICS[metric].title for metric in METRICS if metric in metrics)]
    start = list(TEXTS[:2])
    parts = [start]
    for name in (name for name in names if name in table):
        if sum(_width(table, column) for column in [*parts[-1], name]) > WIDTH and parts[-1] != start:
            parts.append(start)
        parts[-1] = [*parts[-1], name]
    return parts


def _width(table: pd.DataFrame, name: str) -> int:
    """Characters that a column takes."""
    heading = len(name) + (2 if _arrow(name) else 0)
    return GAP + max(heading, *(len(str(value)) for value in table[name]))


def _arrow(name: str) -> str:
    """The arrow in the heading of a metric that has a direction."""
    return next((ARROWS[metric.better] for metric in METRICS.values() if metric.title == name), "")


class _Part(NamedTuple):
    """A column specification, the line of headings, and the lines of values."""

    columns: str
    heading: str
    lines: list[str]


def _body(table: pd.DataFrame, models: pd.Series, bold: pd.DataFrame) -> _Part:
    names = [str(name) for name in table]
    cells = [[_cell(*pair, name) for pair in zip(table[name], bold[name], strict=True)] for name in names]
    groups: dict[str, list[str]] = {}
    for model, *values in zip(models, *cells, strict=True):
        groups.setdefault(str(model), []).append(" & ".join(values) + r" \\")
    lines: list[str] = []
    for model, own in groups.items():
        # The name of the only model is in the caption.
        title = rf"\multicolumn{{{len(names)}}}{{l}}{{\textit{{{escape(model)}}}}} \\"
        lines += [*([r"\midrule"] if lines else []), *([title] if len(groups) > 1 else []), *own]
    headings = [escape(name) + _arrow(name) for name in names]
    return _Part("".join("l" if name in TEXTS else "r" for name in names), " & ".join(headings) + r" \\", lines)


def _cell(text: object, bold: bool, name: str) -> str:
    cell = escape(text)
    if name not in TEXTS and cell.startswith("-"):
        cell = f"$-${cell[1:]}"
    return rf"\textbf{{{cell}}}" if bold else cell


def _floating(parts: Sequence[_Part], caption: str, label: str) -> list[str]:
    lines = [r"\begin{table}[t]", r"\centering", r"\scriptsize", caption, label]
    for part in parts:
        lines += [r"\par\medskip", rf"\begin{{tabular}}{{{part.columns}}}", r"\toprule", part.heading, r"\midrule"]
        lines += [*part.lines, r"\bottomrule", r"\end{tabular}"]
    return [*lines, r"\end{table}"]


def _broken(parts: Sequence[_Part], caption: str, label: str) -> list[str]:
    lines = [r"\begingroup", r"\scriptsize"]
    for number, part in enumerate(parts):
        # Further parts share the number of the first, and are not in the list of tables.
        lines += [r"\addtocounter{table}{-1}"] if number else []
        lines += [rf"\begin{{longtable}}{{{part.columns}}}"]
        lines += [rf"{caption}{label} \\" if number == 0 else r"\caption[]{(continued)} \\"]
        lines += [r"\toprule", part.heading, r"\midrule", r"\endfirsthead"]
        lines += [r"\toprule", part.heading, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot"]
        lines += [*part.lines, r"\end{longtable}"]
    return [*lines, r"\endgroup"]
