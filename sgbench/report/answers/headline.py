"""Each rule against the baseline: what it saves at the baseline's best quality, and quality at the best settings."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS, qualities
from sgbench.report.answers.answer import (
    BASELINES,
    Question,
    baseline_of,
    cell_difference,
    interval_text,
    name_of,
    quality_verdict,
)
from sgbench.report.select_rows import (
    AXES,
    Axis,
    best_row,
    by_rule,
    points,
    quality_metric,
    rated,
    settings_text,
    value_text,
)
from sgbench.stats.estimates import Difference, decimals
from sgbench.stats.frontier import Saving, saving

# What a report says first: the first of these rules that was compared.
HEADLINES = ("sg", "cfg+sg", "ag+sg")
MISSED_SHARE = 0.025
# Metrics in the sentence besides distances; the table has the rest.
LISTED = ("precision", "recall", "label_agreement")


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


def compare_rules(rows: pd.DataFrame, model: str, axes: Sequence[Axis]) -> list[Comparison]:
    """Every guided rule of a model against its baseline; empty without a baseline or another rule.

    Rows without a quality are left out, and so are axes on which a cell of either rule was not measured.
    """
    rules = by_rule(rated(rows), model)
    baseline_rule = baseline_of(rules)
    if baseline_rule is None:
        return []
    baseline_rows = rules[baseline_rule]
    baseline = best_row(baseline_rows)
    found = []
    for rule, own in rules.items():
        if rule == baseline_rule or not RULES[rule].guided:
            continue
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
                quality_metric(rows),
                best,
                baseline,
                {metric: cell_difference(best, baseline, metric) for metric in metrics},
                {axis: saving(points(baseline_rows, axis), points(own, axis)) for axis in measured},
            )
        )
    return found


def headline_rule(comparisons: Sequence[Comparison]) -> str | None:
    """The rule of the summary: a sparse one if one was compared, else the first; None without any."""
    compared = [c.rule for c in comparisons]
    return next((rule for rule in (*HEADLINES, *compared) if rule in compared), None)


def sentences(comparison: Comparison) -> list[str]:
    """The comparison in words: one sentence for each cost axis, then one for quality at the best settings."""
    return [*(_saving_sentence(comparison, axis) for axis in comparison.savings), _quality_sentence(comparison)]


def comparison_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """One line per model and rule: its best cell, and what it saves at the best quality of the baseline."""
    baselines = {RULES[c.baseline_rule].title for c in comparisons}
    # Models may have baselines of their own; each line then names its own.
    name = baselines.pop() if len(baselines) == 1 else "the baseline"
    lines = []
    for c in comparisons:
        line: dict[str, object] = {
            "model": c.model,
            "rule": RULES[c.rule].title,
            "best settings": settings_text(c.best),
            **({"baseline": RULES[c.baseline_rule].title} if baselines else {}),
            METRICS[c.quality].title: value_text(c.best),
            f"against {name}'s best": interval_text(c.differences[c.quality]),
        }
        if "recall" in c.differences and c.quality != "recall":
            line[f"recall against {name}'s"] = interval_text(c.differences["recall"])
        for axis, found in c.savings.items():
            saved = AXES[axis].replace("per image", "saved")
            if not found.reached:
                line[saved] = f"not reached ({found.probability_reached:.0%} of draws reach it)"
            else:
                # Where the cheapest cell is better already, what is saved may be more.
                bound = "≥ " if found.at_least else ""
                ends = ["not reached" if e == float("-inf") else f"{e:.0%}" for e in (found.lower, found.upper)]
                line[saved] = f"{bound}{found.share:.0%} [{', '.join(ends)}]"
        lines.append(line)
    return pd.DataFrame(lines).fillna("")


def nothing_to_compare(rows: pd.DataFrame, model: str) -> str:
    """Why `compare_rules` finds nothing for a model."""
    rules = by_rule(rated(rows), model)
    metric = METRICS[quality_metric(rows)].title
    if not rules:
        return f"No cell of {model} has a score of {metric}, so there is nothing to compare."
    titles = " and ".join(RULES[rule].title for rule in rules)
    if len(rules) == 1:
        return f"{model} has scores of {metric} for {titles} only, so there is nothing to compare it with."
    if baseline_of(rules) is None:
        usual = ", ".join(RULES[rule].title for rule in BASELINES)
        return f"{model} has scores of {metric} for {titles}, but for none of the baselines ({usual})."
    return f"{model} has scores of {metric} for {titles} only, so there is no second guided rule to compare."


def all_tied(comparisons: Sequence[Comparison]) -> str | None:
    """A sentence if one model's rules do not differ significantly; None if two best cells or a saving do."""
    if not comparisons:
        return None
    first = comparisons[0]
    cells = [first.baseline, *(c.best for c in comparisons)]
    gaps = (cell_difference(a, b, first.quality) for a, b in itertools.combinations(cells, 2))
    if any(gap.significant for gap in gaps) or any(_differs(s) for c in comparisons for s in c.savings.values()):
        return None
    names = [name_of(first.baseline_rule), *(RULES[c.rule].title for c in comparisons)]
    return (
        f"No significant difference on {first.model}: at their best {METRICS[first.quality].title}, "
        f"{', '.join(names[:-1])} and {names[-1]} do not differ significantly, and none saves compute significantly."
    )


def _differs(found: Saving) -> bool:
    """Whether significantly more or less compute is needed; a value that is never reached counts as more."""
    if found.probability_reached <= MISSED_SHARE:
        return True
    sure = found.reached and found.probability_reached >= 1 - MISSED_SHARE
    return sure and not found.lower <= 0 <= found.upper


def _saving_sentence(comparison: Comparison, axis: Axis) -> str:
    found = comparison.savings[axis]
    title, unit = RULES[comparison.rule].title, AXES[axis]
    baseline = comparison.baseline
    target = (
        f"{name_of(comparison.baseline_rule)}'s best {METRICS[comparison.quality].title} on {comparison.model} "
        f"({value_text(baseline)} at {settings_text(baseline)})"
    )
    if not found.reached and found.probability_reached <= MISSED_SHARE:
        return f"{title} does not reach {target} at any setting of this suite, so it saves no {unit}."
    if not found.reached:
        return (
            f"No significant difference in {unit}: the estimates for {title} do not quite reach {target}, but "
            f"{found.probability_reached:.0%} of draws from the joint uncertainty do."
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
    """A significant saving or extra cost in words; a bound if the cheapest cell reaches the target already."""
    more = found.share < 0
    low, high = sorted((abs(found.lower), abs(found.upper)))
    direction = "more" if more else "fewer"
    # If only the baseline's best cell is uncertain, the interval may have no width.
    between = "" if low == high else f" (95 % interval {low:.0%} to {high:.0%} {'more' if more else 'saved'})"
    if not found.at_least:
        return f"{abs(found.share):.0%} {direction} {unit}{between}"
    bound, hint = ("at most", "may need less") if more else ("at least", "may save more")
    return (
        f"{bound} {abs(found.share):.0%} {direction} {unit}{between}: its cheapest frontier cell is already that good, "
        f"so it {hint}"
    )


def _quality_sentence(comparison: Comparison) -> str:
    title, other = RULES[comparison.rule].title, name_of(comparison.baseline_rule)
    best, baseline, gaps = comparison.best, comparison.baseline, comparison.differences
    cost = f"{best['gmacs_per_image'] / baseline['gmacs_per_image']:.0%} of {other}'s GMACs"
    noun = "score" if METRICS[comparison.quality].better == "higher" else "distance"
    # A kernel distance repeats what the Frechet distance of the same features says.
    others = [m for m in qualities(list(gaps)) if m != comparison.quality and METRICS[m].prominent]
    listed = [comparison.quality, *others, *LISTED]
    parts = [_gap(metric, gaps[metric]) for metric in listed if metric in gaps]
    return (
        f"Each at its best {noun}, {title} ({settings_text(best)}; {cost}) "
        f"against {other} ({settings_text(baseline)}): {'; '.join(parts)}."
    )


def _gap(metric: str, gap: Difference) -> str:
    digits = decimals(gap.standard_error)
    interval = f"{gap.lower:+.{digits}f} to {gap.upper:+.{digits}f}"
    verdict = quality_verdict(gap, metric)
    return f"{METRICS[metric].title} {gap.value:+.{digits}f} (95 % interval {interval}, {verdict})"


def _percent(share: float) -> str:
    if not round(share, 2):
        return "the same cost"
    return f"{share:.0%} fewer" if share > 0 else f"{-share:.0%} more"


def _signed(share: float) -> str:
    # Without the sign of a zero.
    return f"{round(share, 2) + 0.0:.0%}"


SAVINGS = Question(
    title="Each rule against the baseline",
    note=(
        "Savings are read from the frontier at the best quality that the baseline reaches, interpolated between "
        "measured cells and never extrapolated. Intervals are 95 %, from paired jackknife replicates; those on seconds "
        "do not include the spread of the timings. Best cells were chosen on the same images, so small differences "
        "favour the rule with more settings."
    ),
    file="comparison.csv",
    compare=lambda selected: [
        found for model in selected.models for found in compare_rules(selected.rows, model, selected.axes)
    ],
    sentences=sentences,
    table=comparison_table,
)
