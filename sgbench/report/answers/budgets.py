"""Best quality of each rule within a fixed budget."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS
from sgbench.report.answers.answer import Question, baseline_of, by_verdict, interval_text, name_of, quality_verdict
from sgbench.report.select_rows import (
    AXES,
    Axis,
    best_row,
    by_rule,
    constant_gamma,
    points,
    quality_metric,
    rated,
    settings_text,
    sign_of,
    value_text,
)
from sgbench.stats.estimates import Difference
from sgbench.stats.frontier import Point, best_within, budget_difference

VERDICTS = ("better", "worse")


class Affordable(NamedTuple):
    """A rule's best cell within a budget, and its quality minus the baseline's in the metric's own direction.

    `difference` is None for the baseline itself and where the baseline has no cell within the budget.
    """

    rule: str
    cell: pd.Series
    difference: Difference | None


class Budget(NamedTuple):
    """A cost per image, where it comes from, and the rules with a cell within it, in the rules' order."""

    model: str
    quality: str
    axis: Axis
    cost: float
    meaning: str
    baseline_rule: str
    rules: list[Affordable]


def compare_budgets(rows: pd.DataFrame, model: str, axis: Axis = "gmacs_per_image") -> list[Budget]:
    """Every rule's best cell within a few budgets: the cost of the unguided dense cell, and half and all of the cost of
    the baseline's best cell.

    Equal budgets are merged; budgets that no rule can keep are left out. Empty where a model has no baseline.
    Rows without a quality or without this cost are left out.
    """
    scored = rated(rows[rows[axis].notna()])
    own = by_rule(scored, model)
    baseline_rule = baseline_of(own)
    if baseline_rule is None:
        return []
    plane = {rule: points(cells, axis) for rule, cells in own.items()}
    quality = quality_metric(scored)
    found = []
    for cost, meaning in _budgets(scored, model, best_row(own[baseline_rule]), axis):
        kept = {rule: best_within(plane[rule], cost) for rule in own}
        inside = [
            Affordable(rule, own[rule].iloc[index], _difference(plane, baseline_rule, rule, cost, quality))
            for rule, index in kept.items()
            if index is not None
        ]
        if inside:
            found.append(Budget(model, quality, axis, cost, meaning, baseline_rule, inside))
    return found


def unguided_dense(rows: pd.DataFrame, model: str) -> pd.Series | None:
    """The cheapest unguided cell of a model with every token, at its most common number of steps where there is one."""
    own = rows[rows["model"] == model]
    dense = own[(own["guidance"] == "none") & (constant_gamma(own) == 0)]
    if dense.empty:
        return None
    usual = dense[dense["steps"] == own["steps"].mode().min()]
    cells = dense if usual.empty else usual
    return cells.sort_values("gmacs_per_image", kind="stable").iloc[0]


def sentence(budget: Budget) -> str:
    """The comparison in words: the baseline's best cell, then the other rules, better or worse or neither."""
    head = (
        f"Best {METRICS[budget.quality].title} on {budget.model} within {amount(budget.cost)} {AXES[budget.axis]} "
        f"({budget.meaning}): "
    )
    sign = sign_of(budget.quality)
    ordered = sorted(budget.rules, key=lambda a: sign * float(a.cell["quality"]))
    others = [a for a in ordered if a.rule != budget.baseline_rule]
    if len(others) == len(ordered):
        alone = ", ".join(map(_described, others))
        return f"{head}{alone}; {name_of(budget.baseline_rule)} has no cell within the budget."
    baseline = _described(next(a for a in ordered if a.rule == budget.baseline_rule))
    if not others:
        return f"{head}{baseline}; no other rule has a cell within the budget."
    described = [(quality_verdict(a.difference, budget.quality), _described(a)) for a in others]
    return f"{head}{'; '.join([baseline, *by_verdict(described, VERDICTS)])}."


def budget_table(budgets: Sequence[Budget]) -> pd.DataFrame:
    """One line per budget and rule: its best cell there, and the difference to the baseline's with its interval."""
    return pd.DataFrame(
        [
            {
                "model": budget.model,
                "budget": f"{amount(budget.cost)} {AXES[budget.axis]}",
                "which is": budget.meaning,
                "rule": RULES[one.rule].title,
                "best settings": settings_text(one.cell),
                "metric": METRICS[budget.quality].title,
                "value": value_text(one.cell),
                "baseline": RULES[budget.baseline_rule].title,
                "difference": interval_text(one.difference),
                "verdict": quality_verdict(one.difference, budget.quality),
            }
            for budget in budgets
            for one in budget.rules
        ]
    )


def amount(cost: float) -> str:
    """A cost to three digits at least, without an exponent."""
    return f"{cost:,.{max(0, 2 - math.floor(math.log10(cost)))}f}"


def _budgets(rows: pd.DataFrame, model: str, best: pd.Series, axis: Axis) -> list[tuple[float, str]]:
    """Costs in rising order, each with where it comes from."""
    whole, owner = float(best[axis]), name_of(best["guidance"])
    wanted = [(whole / 2, f"half the cost of {owner}'s best cell"), (whole, f"the cost of {owner}'s best cell")]
    dense = unguided_dense(rows, model)
    if dense is not None:
        wanted.append((float(dense[axis]), f"the cost of the unguided dense model at {dense['steps']} steps"))
    found: list[tuple[float, str]] = []
    for cost, meaning in sorted(wanted):
        if found and math.isclose(cost, found[-1][0]):
            found[-1] = (found[-1][0], f"{found[-1][1]}, and {meaning}")
        else:
            found.append((cost, meaning))
    return found


def _difference(
    plane: dict[str, list[Point]], baseline: str, rule: str, cost: float, quality: str
) -> Difference | None:
    gap = None if rule == baseline else budget_difference(plane[baseline], plane[rule], cost)
    if gap is None or sign_of(quality) == 1:
        return gap
    return Difference(-gap.value, gap.standard_error, -gap.upper, -gap.lower)


def _described(one: Affordable) -> str:
    return f"{RULES[one.rule].title} {value_text(one.cell)} ({settings_text(one.cell)})"


BUDGETS = Question(
    title="Best at a fixed budget",
    note=(
        "The best measured cell within the budget. Intervals include the choice of the best cell, which is made anew "
        "in every draw, so they are wider than between two fixed cells."
    ),
    file="budgets.csv",
    compare=lambda selected: [found for model in selected.models for found in compare_budgets(selected.rows, model)],
    sentences=lambda budget: [sentence(budget)],
    table=budget_table,
)
