"""The answer in plain sentences, computed: what a rule saves at CFG's best quality, and what it costs elsewhere."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from sgbench.guidance import RULES
from sgbench.report.points import (
    AXES,
    Axis,
    best_row,
    metric_title,
    noun_of,
    points,
    replicates,
    rule_rows,
    rules_of,
    settings_text,
)
from sgbench.score.metrics import METRICS, qualities
from sgbench.stats.digits import decimals
from sgbench.stats.frontier import Saving, saving
from sgbench.stats.paired import Difference, paired_difference

BASELINE = "cfg"
HEADLINE = "sg"
MISSED_SHARE = 0.025
# What a sentence tells beside distances; the table has the rest.
TOLD = ("precision", "recall", "label_agreement")


class Comparison(NamedTuple):
    """One rule against CFG on one model: best cells, paired differences, savings per cost axis."""

    model: str
    rule: str
    quality: str
    best: pd.Series
    baseline: pd.Series
    differences: dict[str, Difference]
    savings: dict[Axis, Saving]


def compare_rules(rows: pd.DataFrame, model: str, axes: list[Axis]) -> list[Comparison]:
    """Every guided rule of a model against CFG; empty where CFG was not run on it."""
    baseline_rows = rule_rows(rows, model, BASELINE)
    if baseline_rows.empty:
        return []
    baseline = best_row(baseline_rows)
    found = []
    for rule in rules_of(rows, model):
        if rule == BASELINE or not RULES[rule].guided:
            continue
        own = rule_rows(rows, model, rule)
        best = best_row(own)
        quality = str(rows["quality_metric"].iloc[0])
        metrics = [m for m in METRICS if f"{m}_replicates" in rows and best.notna()[m] and baseline.notna()[m]]
        found.append(
            Comparison(
                model,
                rule,
                quality,
                best,
                baseline,
                {metric: _difference(best, baseline, metric) for metric in metrics},
                {axis: saving(points(baseline_rows, axis), points(own, axis)) for axis in axes},
            )
        )
    return found


def sentences(comparison: Comparison) -> list[str]:
    """The comparison in words: one sentence for each cost axis, then one for quality at the best settings."""
    return [
        *(_saving_sentence(comparison, axis) for axis in comparison.savings),
        _quality_sentence(comparison),
    ]


def _saving_sentence(comparison: Comparison, axis: Axis) -> str:
    found = comparison.savings[axis]
    title, unit = RULES[comparison.rule].title, AXES[axis]
    baseline = comparison.baseline
    target = (
        f"CFG's best {metric_title(comparison.quality)} on {comparison.model} "
        f"({baseline['quality']:.3f} ± {baseline['quality_se']:.3f} at {settings_text(baseline)})"
    )
    if not found.reached and found.probability_reached <= MISSED_SHARE:
        return f"{title} does not reach {target} at any setting of this suite, so it saves no {unit}."
    if not found.reached:
        return (
            f"No significant difference in {unit}: on the estimates {title} does not quite reach {target}, but it "
            f"does in {found.probability_reached:.0%} of draws from the joint uncertainty."
        )
    share = _percent(found.share)
    if found.probability_reached < 1 - MISSED_SHARE:
        return (
            f"No significant difference in {unit}: {title} reaches {target} with {share}, but in "
            f"{1 - found.probability_reached:.0%} of draws from the joint uncertainty it does not reach it at all."
        )
    interval = f"95 % interval {_signed(found.lower)} to {_signed(found.upper)}"
    if found.lower <= 0 <= found.upper:
        return f"No significant difference in {unit}: {title} reaches {target} with {share} ({interval})."
    bound = " (its cheapest frontier cell is already that good: the saving is at least this)" if found.at_least else ""
    return f"{title} reaches {target} with {share} {unit}{bound} ({interval} saved)."


def _quality_sentence(comparison: Comparison) -> str:
    title = RULES[comparison.rule].title
    best, baseline, gaps = comparison.best, comparison.baseline, comparison.differences
    cost = best["gmacs_per_image"] / baseline["gmacs_per_image"]
    told = [comparison.quality, *(m for m in qualities(list(gaps)) if m != comparison.quality), *TOLD]
    parts = [_gap(metric, gaps[metric]) for metric in told if metric in gaps]
    return (
        f"Each at its best {noun_of(comparison.quality)}, {title} ({settings_text(best)}; {cost:.0%} of CFG's GMACs) "
        f"against CFG ({settings_text(baseline)}): {'; '.join(parts)}."
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
    return f"{share:.0%} fewer" if share >= 0 else f"{-share:.0%} more"


def _signed(share: float) -> str:
    return f"{share:.0%}"
