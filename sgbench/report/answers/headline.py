"""The answer in plain sentences, computed: what a rule saves at the baseline's best quality, and what it costs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS, qualities
from sgbench.report.select_rows import (
    AXES,
    Axis,
    best_row,
    metric_title,
    noun_of,
    points,
    quality_title,
    rated,
    replicates,
    rule_rows,
    rules_of,
    settings_text,
)
from sgbench.stats.estimates import Difference, decimals, paired_difference, with_error
from sgbench.stats.frontier import Saving, saving

# What others are compared with, and what is told first: the first of each that was run.
BASELINES = ("cfg", "ag", "icg", "apg", "none")
HEADLINES = ("sg", "cfg+sg", "ag+sg")
MISSED_SHARE = 0.025
# What a sentence tells beside distances; the table has the rest.
TOLD = ("precision", "recall", "label_agreement")


class Comparison(NamedTuple):
    """One rule against the baseline on one model: best cells, paired differences, savings per cost axis."""

    model: str
    rule: str
    baseline_rule: str
    quality: str
    best: pd.Series
    baseline: pd.Series
    differences: dict[str, Difference]
    savings: dict[Axis, Saving]


def baseline_of(rows: pd.DataFrame, model: str) -> str | None:
    """The rule that the others of a model are compared with; None where none of those that can be was scored."""
    present = rules_of(rated(rows), model)
    return next((rule for rule in BASELINES if rule in present), None)


def name_of(rule: str) -> str:
    """A rule as sentences call it."""
    return RULES[rule].title if RULES[rule].guided else f"the {RULES[rule].title} model"


def compare_rules(rows: pd.DataFrame, model: str, axes: Sequence[Axis]) -> list[Comparison]:
    """Every guided rule of a model against its baseline; empty where there is none or no other.

    Rows without a quality are left out, and so is an axis that some cell of either rule was not measured on.
    """
    scored, baseline_rule = rated(rows), baseline_of(rows, model)
    if baseline_rule is None:
        return []
    baseline_rows = rule_rows(scored, model, baseline_rule)
    baseline = best_row(baseline_rows)
    found = []
    for rule in rules_of(scored, model):
        if rule == baseline_rule or not RULES[rule].guided:
            continue
        own = rule_rows(scored, model, rule)
        best = best_row(own)
        metrics = [
            m for m in METRICS if {m, f"{m}_replicates"} <= set(rows) and best.notna()[m] and baseline.notna()[m]
        ]
        measured = [axis for axis in axes if own[axis].notna().all() and baseline_rows[axis].notna().all()]
        found.append(
            Comparison(
                model,
                rule,
                baseline_rule,
                str(rows["quality_metric"].iloc[0]),
                best,
                baseline,
                {metric: _difference(best, baseline, metric) for metric in metrics},
                {axis: saving(points(baseline_rows, axis), points(own, axis)) for axis in measured},
            )
        )
    return found


def headline_rule(comparisons: Sequence[Comparison]) -> str | None:
    """The rule that a report tells of first: a sparse one where one was compared, else the first; None of none."""
    compared = [c.rule for c in comparisons]
    return next((rule for rule in (*HEADLINES, *compared) if rule in compared), None)


def sentences(comparison: Comparison) -> list[str]:
    """The comparison in words: one sentence for each cost axis, then one for quality at the best settings."""
    return [
        *(_saving_sentence(comparison, axis) for axis in comparison.savings),
        _quality_sentence(comparison),
    ]


def nothing_to_compare(rows: pd.DataFrame, model: str) -> str:
    """Why `compare_rules` finds nothing for a model."""
    rules = rules_of(rated(rows), model)
    metric = quality_title(rows)
    if not rules:
        return f"No cell of {model} has a score of {metric}, so there is nothing to compare."
    titles = " and ".join(RULES[rule].title for rule in rules)
    if len(rules) == 1:
        return f"{model} has scores of {metric} for {titles} alone, so there is nothing to compare it with."
    if baseline_of(rows, model) is None:
        usual = ", ".join(RULES[rule].title for rule in BASELINES)
        return f"{model} has scores of {metric} for {titles}, but for no rule to compare them with ({usual})."
    return f"{model} has scores of {metric} for {titles} alone, so there is no second guided rule to compare."


def all_tied(comparisons: Sequence[Comparison]) -> str | None:
    """A sentence where one model's rules are alike within noise; None where two best cells or a saving differ."""
    if not comparisons:
        return None
    first = comparisons[0]
    cells = [first.baseline, *(c.best for c in comparisons)]
    gaps = (_difference(a, b, first.quality) for a, b in itertools.combinations(cells, 2))
    if any(gap.significant for gap in gaps) or any(_told_apart(s) for c in comparisons for s in c.savings.values()):
        return None
    names = [name_of(first.baseline_rule), *(RULES[c.rule].title for c in comparisons)]
    return (
        f"No significant difference on {first.model}: at their best {metric_title(first.quality)}, "
        f"{', '.join(names[:-1])} and {names[-1]} are alike within noise, and none saves compute beyond noise."
    )


def _told_apart(found: Saving) -> bool:
    """Whether more or less compute is needed beyond noise; a value that is never reached needs more than there is."""
    if found.probability_reached <= MISSED_SHARE:
        return True
    sure = found.reached and found.probability_reached >= 1 - MISSED_SHARE
    return sure and not found.lower <= 0 <= found.upper


def _saving_sentence(comparison: Comparison, axis: Axis) -> str:
    found = comparison.savings[axis]
    title, unit = RULES[comparison.rule].title, AXES[axis]
    baseline = comparison.baseline
    target = (
        f"{name_of(comparison.baseline_rule)}'s best {metric_title(comparison.quality)} on {comparison.model} "
        f"({with_error(baseline['quality'], baseline['quality_se'])} at {settings_text(baseline)})"
    )
    if not found.reached and found.probability_reached <= MISSED_SHARE:
        return f"{title} does not reach {target} at any setting of this suite, so it saves no {unit}."
    if not found.reached:
        return (
            f"No significant difference in {unit}: on the estimates {title} does not quite reach {target}, but it "
            f"does in {found.probability_reached:.0%} of draws from the joint uncertainty."
        )
    if found.probability_reached < 1 - MISSED_SHARE:
        return (
            f"No significant difference in {unit}: {title} reaches {target} with {_percent(found.share)}, but in "
            f"{1 - found.probability_reached:.0%} of draws from the joint uncertainty it does not reach it at all."
        )
    if found.lower <= 0 <= found.upper:
        between = f"95 % interval {_signed(found.lower)} to {_signed(found.upper)} saved"
        return (
            f"No significant difference in {unit}: {title} reaches {target} with {_percent(found.share)} ({between})."
        )
    return f"{title} reaches {target} with {_sure_share(found, unit)}."


def _sure_share(found: Saving, unit: str) -> str:
    """A saving, or its contrary, beyond noise, in words. Where the cheapest cell does already, it is a bound."""
    more = found.share < 0
    low, high = sorted((abs(found.lower), abs(found.upper)))
    direction = "more" if more else "fewer"
    # Of a rule's cheapest cell only the baseline's best one is uncertain, and that may never change.
    between = "" if low == high else f" (95 % interval {low:.0%} to {high:.0%} {'more' if more else 'saved'})"
    if not found.at_least:
        return f"{abs(found.share):.0%} {direction} {unit}{between}"
    bound, hint = ("at most", "may need less") if more else ("at least", "may save more")
    return (
        f"{bound} {abs(found.share):.0%} {direction} {unit}{between}: its cheapest frontier cell is that good already, "
        f"so it {hint}"
    )


def _quality_sentence(comparison: Comparison) -> str:
    title, other = RULES[comparison.rule].title, name_of(comparison.baseline_rule)
    best, baseline, gaps = comparison.best, comparison.baseline, comparison.differences
    cost = f"{best['gmacs_per_image'] / baseline['gmacs_per_image']:.0%} of {other}'s GMACs"
    # A kernel distance says again what the Frechet distance of the same features does.
    others = [m for m in qualities(list(gaps)) if m != comparison.quality and METRICS[m].prominent]
    told = [comparison.quality, *others, *TOLD]
    parts = [_gap(metric, gaps[metric]) for metric in told if metric in gaps]
    return (
        f"Each at its best {noun_of(comparison.quality)}, {title} ({settings_text(best)}; {cost}) "
        f"against {other} ({settings_text(baseline)}): {'; '.join(parts)}."
    )


def _gap(metric: str, gap: Difference) -> str:
    better = (gap.value < 0) == (METRICS[metric].better == "lower")
    verdict = (", better" if better else ", worse") if gap.significant else ", no significant difference"
    digits = decimals(gap.standard_error)
    interval = f"{gap.lower:+.{digits}f} to {gap.upper:+.{digits}f}"
    return f"{metric_title(metric)} {gap.value:+.{digits}f} (95 % interval {interval}{verdict})"


def _difference(best: pd.Series, baseline: pd.Series, metric: str) -> Difference:
    return paired_difference(
        float(best[metric]),
        float(baseline[metric]),
        replicates(best[f"{metric}_replicates"]),
        replicates(baseline[f"{metric}_replicates"]),
    )


def _percent(share: float) -> str:
    if not round(share, 2):
        return "the same cost"
    return f"{share:.0%} fewer" if share > 0 else f"{-share:.0%} more"


def _signed(share: float) -> str:
    # Without the sign of a zero.
    return f"{round(share, 2) + 0.0:.0%}"
