"""Whether the suite's metrics agree about the guidance rules: the ranking of their best cells in each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from sgbench.guidance import RULES
from sgbench.report.select_rows import metric_title, replicates, rule_rows, rules_of, sign_of
from sgbench.stats.estimates import Agreement, agreement, paired_difference

MINIMUM = 3


class Opinions(NamedTuple):
    """Two metrics of quality on one model: the rules from best to worst in each, pairs of rules that they order
    differently beyond noise, and the agreement over all cells."""

    model: str
    metrics: tuple[str, str]
    rankings: tuple[list[str], list[str]]
    conflicts: list[tuple[str, str]]
    over_cells: Agreement
    cells: int


def compare_opinions(rows: pd.DataFrame, model: str, metrics: Sequence[str]) -> list[Opinions]:
    """The suite's first metric against each further one, over the cells that have both.

    A pair of metrics with fewer than three such cells or rules is left out.
    """
    found = []
    for other in metrics[1:]:
        pair = (metrics[0], other)
        own = rows[(rows["model"] == model) & rows[list(pair)].notna().all(axis=1)]
        rules = rules_of(own, model)
        if len(own) < MINIMUM or len(rules) < MINIMUM:
            continue
        signs = [sign_of(metric) for metric in pair]
        values = [(sign * own[metric]).tolist() for sign, metric in zip(signs, pair, strict=True)]
        spread = [
            [tuple(sign * r for r in replicates(text)) for text in own[f"{metric}_replicates"]]
            for sign, metric in zip(signs, pair, strict=True)
        ]
        rankings = [_ranking(own, model, rules, metric) for metric in pair]
        found.append(
            Opinions(
                model,
                pair,
                (rankings[0], rankings[1]),
                _conflicts(own, model, rules, pair),
                agreement(values[0], values[1], spread[0], spread[1]),
                len(own),
            )
        )
    return found


def sentence(opinions: Opinions) -> str:
    """The comparison in words."""
    if np.isnan(opinions.over_cells.tau):
        return (
            f"{metric_title(opinions.metrics[1])} and {metric_title(opinions.metrics[0])} do not rank the cells of "
            f"{opinions.model}: all have the same value of one of them."
        )
    first, other = (metric_title(metric) for metric in opinions.metrics)
    tau = opinions.over_cells
    # Of a few cells well apart, no replicate changes the order, and an interval would feign certainty.
    spread = (
        "in every replicate" if tau.upper - tau.lower < 1e-6 else f"95 % interval {tau.lower:.2f} to {tau.upper:.2f}"
    )
    head = (
        f"{other} against {first} on {opinions.model}: Kendall's tau over {opinions.cells} cells is {tau.tau:.2f} "
        f"({spread}). "
    )
    orders = [", ".join(RULES[rule].title for rule in ranking) for ranking in opinions.rankings]
    if opinions.rankings[0] == opinions.rankings[1]:
        return head + f"Both rank the rules by their best cells alike: {orders[0]}."
    body = f"Rules by their best cells, best first: {orders[0]} in {first}; {orders[1]} in {other}. "
    if not opinions.conflicts:
        return head + body + "No two rules are ordered differently beyond noise."
    pairs = "; ".join(f"{RULES[a].title} and {RULES[b].title}" for a, b in opinions.conflicts)
    return head + body + f"Ordered differently beyond noise: {pairs}."


def _ranking(rows: pd.DataFrame, model: str, rules: Sequence[str], metric: str) -> list[str]:
    sign = sign_of(metric)
    return sorted(rules, key=lambda rule: float((sign * rule_rows(rows, model, rule)[metric]).min()))


def _conflicts(rows: pd.DataFrame, model: str, rules: Sequence[str], pair: tuple[str, str]) -> list[tuple[str, str]]:
    """Pairs of rules of which the one is significantly better in the first metric, the other in the second."""
    found = []
    for position, a in enumerate(rules):
        for b in rules[position + 1 :]:
            signs = [_verdict(rows, model, a, b, metric) for metric in pair]
            if signs[0] * signs[1] < 0:
                found.append((a, b))
    return found


def _verdict(rows: pd.DataFrame, model: str, a: str, b: str, metric: str) -> int:
    """1 where rule `a` is significantly worse at its best cell than `b` at its own, -1 where better, else 0."""
    sign = sign_of(metric)
    owns = [rule_rows(rows, model, rule) for rule in (a, b)]
    best = [own.iloc[int((sign * own[metric]).to_numpy().argmin())] for own in owns]
    gap = paired_difference(
        float(best[0][metric]),
        float(best[1][metric]),
        replicates(best[0][f"{metric}_replicates"]),
        replicates(best[1][f"{metric}_replicates"]),
    )
    return 0 if not gap.significant else 1 if sign * gap.value > 0 else -1
