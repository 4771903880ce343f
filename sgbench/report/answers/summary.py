"""What a report says of its rows: the answer first, then a section for each question, in sentences and a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from sgbench.metrics.catalogue import METRICS, qualities
from sgbench.report.answers.areas import area_table, compare_areas
from sgbench.report.answers.areas import sentence as area_sentence
from sgbench.report.answers.budgets import budget_table, compare_budgets
from sgbench.report.answers.budgets import sentence as budget_sentence
from sgbench.report.answers.headline import (
    Comparison,
    all_tied,
    compare_rules,
    headline_rule,
    nothing_to_compare,
    sentences,
)
from sgbench.report.answers.metric_agreement import compare_opinions
from sgbench.report.answers.metric_agreement import sentence as opinion_sentence
from sgbench.report.page.content import Section
from sgbench.report.select_rows import Axis, with_quality
from sgbench.report.tables.columns import comparison_table, group_table

# Kinds of further metrics whose answer stands beside the first one's; others stand in the tables.
SAVINGS = (
    "Savings are read off the frontier at the best quality that the baseline reaches, by interpolation between "
    "measured cells, never beyond them. Intervals are 95 %, from jackknife replicates that pair the cells; those on "
    "seconds leave out the spread of the timings. The best cell of a rule was chosen on the same images, so small "
    "differences flatter the rule with more settings."
)
AREAS = (
    "Share of the box between the reference point and no cost at the best value of any rule that a rule's cells "
    "dominate, in steps, without interpolation. Intervals are 95 %, paired, and wider where many cells make a rule "
    "look better than it is."
)
BUDGETS = (
    "The best measured cell that costs no more; best cells are found anew in every draw behind an interval, so "
    "intervals are wider here than between two cells that stand fixed."
)


class Words(NamedTuple):
    """The summary, and the sections that follow it."""

    summary: list[str]
    sections: list[Section]


def in_words(rows: pd.DataFrame, axes: list[Axis], metrics: Sequence[str]) -> Words:
    """All that is said of rows with a quality. Models come in the rows' order; the first one's answer leads."""
    models = list(dict.fromkeys(rows["model"]))
    compared = {model: compare_rules(rows, model, axes) for model in models}
    lead = models[0]
    sections = [
        _rules(compared, headline_rule(compared[lead])),
        _budgets(rows, models),
        _areas(rows, models),
        _groups(rows, metrics),
        _opinions(rows, models, metrics),
    ]
    return Words(_summary(rows, lead, compared[lead], metrics), [s for s in sections if s is not None])


def _summary(rows: pd.DataFrame, model: str, compared: list[Comparison], metrics: Sequence[str]) -> list[str]:
    if not compared:
        return [nothing_to_compare(rows, model)]
    rule = headline_rule(compared)
    said = [s for c in compared if c.rule == rule for s in sentences(c)]
    for metric in qualities(list(metrics))[1:]:
        if METRICS[metric].prominent:
            # Another feature space or judge may answer otherwise.
            others = compare_rules(with_quality(rows, metric), model, ["gmacs_per_image"])
            said += [sentences(c)[0] for c in others if c.rule == rule]
    tied = all_tied(compared)
    return [*([tied] if tied else []), *said]


def _rules(compared: dict[str, list[Comparison]], lead: str | None) -> Section | None:
    every = [c for found in compared.values() for c in found]
    if not every:
        return None
    first = next(iter(compared))
    rest = [s for c in every if (c.model, c.rule) != (first, lead) for s in sentences(c)]
    return Section("Each rule against the baseline", rest, comparison_table(every), SAVINGS, "comparison.csv")


def _budgets(rows: pd.DataFrame, models: list[str]) -> Section | None:
    found = [budget for model in models for budget in compare_budgets(rows, model)]
    if not found:
        return None
    said = [budget_sentence(budget) for budget in found]
    return Section("Best at a fixed budget", said, budget_table(found), BUDGETS, "budgets.csv")


def _areas(rows: pd.DataFrame, models: list[str]) -> Section | None:
    found = [areas for areas in (compare_areas(rows, model) for model in models) if areas]
    if not found:
        return None
    table = area_table([area for areas in found for area in areas])
    return Section("The whole frontier in one number", [area_sentence(a) for a in found], table, AREAS, "areas.csv")


def _groups(rows: pd.DataFrame, metrics: Sequence[str]) -> Section | None:
    table = group_table(rows, metrics)
    if table.empty:
        return None
    note = "Each rule's best cell by each metric; errors are one standard error, by prompt."
    return Section("By group of prompts", [], table, note, "groups.csv")


def _opinions(rows: pd.DataFrame, models: list[str], metrics: Sequence[str]) -> Section | None:
    found = [o for model in models for o in compare_opinions(rows, model, qualities(list(metrics)))]
    if not found:
        return None
    return Section("Do the metrics agree?", [opinion_sentence(o) for o in found], None, "")
