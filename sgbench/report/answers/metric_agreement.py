"""Whether the suite's metrics agree about the guidance rules: the ranking of their best cells in each."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS, qualities
from sgbench.report.answers.answer import Question, cell_difference
from sgbench.report.select_rows import best_row, by_rule, replicates, sign_of, with_quality
from sgbench.stats.estimates import Bounded, agreement

MINIMUM = 3


class MetricPair(NamedTuple):
    """Two metrics of quality on one model: the rules from best to worst in each, pairs of rules that they order
    significantly differently, and the agreement over all cells."""

    model: str
    metrics: tuple[str, str]
    rankings: tuple[list[str], list[str]]
    conflicts: list[tuple[str, str]]
    over_cells: Bounded
    cells: int


def compare_metrics(rows: pd.DataFrame, model: str, metrics: Sequence[str]) -> list[MetricPair]:
    """The suite's first metric against each further one, over the cells that have both.

    A pair of metrics with fewer than three such cells or rules is left out.
    """
    found = []
    for other in metrics[1:]:
        pair = (metrics[0], other)
        own = rows[(rows["model"] == model) & rows[list(pair)].notna().all(axis=1)]
        rules = list(by_rule(own, model))
        if len(own) < MINIMUM or len(rules) < MINIMUM:
            continue
        ranked = [_best_cells(own, model, metric) for metric in pair]
        rankings = (list(ranked[0]), list(ranked[1]))
        conflicts = [
            (a, b)
            for a, b in itertools.combinations(rules, 2)
            if math.prod(_worse(best[a], best[b], metric) for best, metric in zip(ranked, pair, strict=True)) < 0
        ]
        found.append(MetricPair(model, pair, rankings, conflicts, _over_cells(own, pair), len(own)))
    return found


def sentence(found: MetricPair) -> str:
    """The comparison in words."""
    first, other = (METRICS[metric].title for metric in found.metrics)
    tau = found.over_cells
    if math.isnan(tau.value):
        return f"{other} and {first} cannot be compared on {found.model}: all cells have the same value of one of them."
    # No replicate changes the order of a few distant cells; an interval would feign certainty.
    spread = (
        "in every replicate" if tau.upper - tau.lower < 1e-6 else f"95 % interval {tau.lower:.2f} to {tau.upper:.2f}"
    )
    head = (
        f"{other} against {first} on {found.model}: Kendall's tau over {found.cells} cells is {tau.value:.2f} "
        f"({spread}). "
    )
    orders = [", ".join(RULES[rule].title for rule in ranking) for ranking in found.rankings]
    if found.rankings[0] == found.rankings[1]:
        return head + f"Both rank the rules, by their best cells, in the same order: {orders[0]}."
    body = f"Rules by their best cells, best first: {orders[0]} in {first}; {orders[1]} in {other}. "
    if not found.conflicts:
        return head + body + "No two rules are in significantly different order."
    pairs = "; ".join(f"{RULES[a].title} and {RULES[b].title}" for a, b in found.conflicts)
    return head + body + f"In significantly different order: {pairs}."


def _over_cells(rows: pd.DataFrame, pair: tuple[str, str]) -> Bounded:
    """Bounded of two metrics over all cells, both turned so that lower is better."""
    signs = [sign_of(metric) for metric in pair]
    values = [(sign * rows[metric]).tolist() for sign, metric in zip(signs, pair, strict=True)]
    spread = [
        [tuple(sign * r for r in replicates(text)) for text in rows[f"{metric}_replicates"]]
        for sign, metric in zip(signs, pair, strict=True)
    ]
    return agreement(values[0], values[1], spread[0], spread[1])


def _best_cells(rows: pd.DataFrame, model: str, metric: str) -> dict[str, pd.Series]:
    """Each rule's best cell by a metric, the best rule first."""
    scored, sign = with_quality(rows, metric), sign_of(metric)
    best = {rule: best_row(own) for rule, own in by_rule(scored, model).items()}
    return dict(sorted(best.items(), key=lambda item: sign * float(item[1][metric])))


def _worse(first: pd.Series, second: pd.Series, metric: str) -> int:
    """1 where the first cell is significantly worse than the second, -1 where better, else 0."""
    gap = cell_difference(first, second, metric)
    return 0 if not gap.significant else 1 if sign_of(metric) * gap.value > 0 else -1


AGREEMENT = Question(
    title="Do the metrics agree?",
    note="",
    file="",
    compare=lambda selected: [
        found
        for model in selected.models
        for found in compare_metrics(selected.rows, model, qualities(selected.metrics))
    ],
    sentences=lambda pair: [sentence(pair)],
    table=lambda found: None,
)
