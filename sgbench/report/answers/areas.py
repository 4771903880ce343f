"""Hypervolume of each rule: one number for a whole frontier, with the reference point stated."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS
from sgbench.report.answers.answer import Question, baseline_of, by_verdict, name_of, verdict
from sgbench.report.answers.budgets import amount, unguided_dense
from sgbench.report.select_rows import (
    best_row,
    by_rule,
    lower_is_better,
    points,
    quality_metric,
    rated,
    sign_of,
    value_text,
)
from sgbench.stats.estimates import Bounded, Difference
from sgbench.stats.hypervolume import Box, area, area_difference, cover

# A cell at the reference's own cost counts nothing, so the reference lies a little beyond the most expensive cell
# (Ishibuchi et al. 2018, "How to Specify a Reference Point in Hypervolume Calculation for Fair Performance
# Comparison").
MARGIN = 1.1
VERDICTS = ("more", "less")


class Frame(NamedTuple):
    """The box that areas are shares of, in the frontier's direction, and the cells that its values come from.

    `unguided` says whether `reference` is the unguided dense cell; otherwise it is the worst cell.
    """

    box: Box
    reference: pd.Series
    best: pd.Series
    unguided: bool


class RuleArea(NamedTuple):
    """Share of the frame that a rule's frontier covers, and that share minus the baseline's.

    `difference` is None for the baseline itself and where a model has none.
    """

    model: str
    rule: str
    baseline_rule: str | None
    frame: Frame
    area: Bounded
    difference: Difference | None


def compare_areas(rows: pd.DataFrame, model: str) -> list[RuleArea]:
    """Hypervolume in GMACs of every rule with a quality on a model, in the rules' order; empty where none has one.

    The reference point is a tenth above the cost of the most expensive cell, at the value of the unguided dense cell
    (`unguided_dense`), or at the worst value where there is no such cell; the ideal corner is zero cost at the best
    value of any rule.
    """
    scored = rated(rows[rows["model"] == model])
    if scored.empty:
        return []
    frame, rules = _frame(scored, model), by_rule(scored, model)
    baseline_rule = baseline_of(rules)
    covers = {rule: cover(points(own, "gmacs_per_image"), frame.box) for rule, own in rules.items()}
    found = []
    for rule, own in covers.items():
        compared = baseline_rule is not None and rule != baseline_rule
        difference = area_difference(covers[str(baseline_rule)], own) if compared else None
        found.append(RuleArea(model, rule, baseline_rule, frame, area(own), difference))
    return found


def sentence(areas: Sequence[RuleArea]) -> str:
    """The areas of one model, one at least, in words, with the reference point in numbers."""
    first = areas[0]
    frame, model = first.frame, first.model
    metric = METRICS[frame.reference["quality_metric"]].title
    whose = "the unguided dense model's" if frame.unguided else "the worst cell's"
    if frame.box.best >= frame.box.value:
        return (
            f"No cell of {model} has a better {metric} than the reference point "
            f"({value_text(frame.reference)}, {whose}), so no frontier covers any area."
        )
    head = (
        f"Hypervolume on {model} between the reference point ({amount(frame.box.cost)} GMACs per image, a tenth above "
        f"the most expensive cell; {metric} {value_text(frame.reference)}, {whose}) and zero cost at the best value of "
        f"any rule ({value_text(frame.best)}): "
    )
    ordered = sorted(areas, key=lambda a: -a.area.value)
    baseline = next((a for a in ordered if a.rule == first.baseline_rule), None)
    if baseline is None:
        return f"{head}{', '.join(map(_described, ordered))}."
    share = baseline.area
    covered = (
        f"{name_of(baseline.rule)} covers {share.value:.1%} (95 % interval {share.lower:.1%} to {share.upper:.1%})"
    )
    described = [(verdict(one.difference, *VERDICTS), _described(one)) for one in ordered]
    return f"{head}{'; '.join([covered, *by_verdict(described, VERDICTS)])}."


def area_table(areas: Sequence[RuleArea]) -> pd.DataFrame:
    """One line per model and rule: its area, the difference to the baseline's, and the reference point."""
    return pd.DataFrame(
        [
            {
                "model": one.model,
                "rule": RULES[one.rule].title,
                "area": f"{one.area.value:.1%} [{one.area.lower:.1%}, {one.area.upper:.1%}]",
                "baseline": "" if one.baseline_rule is None else RULES[one.baseline_rule].title,
                "difference": "" if gap is None else f"{gap.value:+.1%} [{gap.lower:+.1%}, {gap.upper:+.1%}]",
                "verdict": verdict(gap, *VERDICTS),
                "metric": METRICS[one.frame.reference["quality_metric"]].title,
                "reference GMACs/image": amount(one.frame.box.cost),
                "reference value": value_text(one.frame.reference),
                "best value": value_text(one.frame.best),
            }
            for one in areas
            for gap in [one.difference]
        ]
    )


def _frame(rows: pd.DataFrame, model: str) -> Frame:
    sign, dense = sign_of(quality_metric(rows)), unguided_dense(rows, model)
    best, worst = best_row(rows), rows.iloc[int(lower_is_better(rows).to_numpy().argmax())]
    reference = worst if dense is None else dense
    cost = MARGIN * float(rows["gmacs_per_image"].max())
    box = Box(cost, sign * float(reference["quality"]), sign * float(best["quality"]))
    return Frame(box, reference, best, dense is not None)


def _described(one: RuleArea) -> str:
    """A rule and its area, and how much more or less than the baseline's that is, where it is significant."""
    gap, by = one.difference, ""
    if gap is not None and gap.significant:
        low, high = sorted((abs(gap.lower), abs(gap.upper)))
        by = f" (by {100 * low:.1f} to {100 * high:.1f} points)"
    return f"{RULES[one.rule].title} {one.area.value:.1%}{by}"


AREAS = Question(
    title="The whole frontier in one number",
    note=(
        "The share of the box between the reference point and the ideal corner (zero cost at the best value of any "
        "rule) that a rule's cells dominate, without interpolation. Intervals are 95 % and paired, and wider where "
        "many cells make a rule look better than it is."
    ),
    file="areas.csv",
    compare=lambda selected: [areas for model in selected.models if (areas := compare_areas(selected.rows, model))],
    sentences=lambda areas: [sentence(areas)],
    table=lambda found: area_table([one for areas in found for one in areas]),
)
