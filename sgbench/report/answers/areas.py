"""Hypervolume per rule: one number for a whole frontier, against a reference point that is stated with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from sgbench.guidance import RULES
from sgbench.report.answers.budgets import amount, unguided_dense
from sgbench.report.answers.headline import baseline_of, name_of
from sgbench.report.select_rows import best_row, metric_title, points, rated, rule_rows, rules_of, sign_of
from sgbench.stats.estimates import Difference, with_error
from sgbench.stats.hypervolume import Area, Box, area, area_difference, cover

# At the reference's own cost a cell counts nothing, so it stands a little beyond the dearest (Ishibuchi et al. 2018,
# "How to Specify a Reference Point in Hypervolume Calculation for Fair Performance Comparison").
MARGIN = 1.1
VERDICTS = ("more", "less", "no significant difference")


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
    area: Area
    difference: Difference | None


def compare_areas(rows: pd.DataFrame, model: str) -> list[RuleArea]:
    """Hypervolume in GMACs of every rule with a quality on a model, in the rules' order; empty where none has one.

    The reference point is a tenth above the cost of the dearest cell at the value of the unguided dense cell
    (`unguided_dense`), or at the worst value where there is no such cell; the ideal corner is no cost at the best
    value of any rule.
    """
    scored = rated(rows[rows["model"] == model])
    if scored.empty:
        return []
    frame, baseline_rule = _frame(scored, model), baseline_of(scored, model)
    covers = {
        rule: cover(points(rule_rows(scored, model, rule), "gmacs_per_image"), frame.box)
        for rule in rules_of(scored, model)
    }
    baseline = None if baseline_rule is None else covers[baseline_rule]
    return [
        RuleArea(
            model,
            rule,
            baseline_rule,
            frame,
            area(own),
            None if baseline is None or rule == baseline_rule else area_difference(baseline, own),
        )
        for rule, own in covers.items()
    ]


def sentence(areas: Sequence[RuleArea]) -> str:
    """The areas of one model, one at least, in words, with the reference point in numbers."""
    first = areas[0]
    frame, model = first.frame, first.model
    metric = metric_title(frame.reference["quality_metric"])
    whose = "the unguided dense model's" if frame.unguided else "the worst cell's"
    if frame.box.best >= frame.box.value:
        return (
            f"No cell of {model} has a better {metric} than the reference point "
            f"({_value(frame.reference)}, {whose}), so no frontier covers any area."
        )
    head = (
        f"Hypervolume on {model} from the reference point ({amount(frame.box.cost)} GMACs per image, a tenth above the "
        f"dearest cell; {metric} {_value(frame.reference)}, {whose}) to no cost at the best value of any rule "
        f"({_value(frame.best)}): "
    )
    ordered = sorted(areas, key=lambda a: -a.area.value)
    baseline = next((a for a in ordered if a.rule == first.baseline_rule), None)
    if baseline is None:
        return f"{head}{_listed(ordered)}."
    share = baseline.area
    covered = (
        f"{name_of(baseline.rule)} covers {share.value:.1%} (95 % interval {share.lower:.1%} to {share.upper:.1%})"
    )
    groups = {word: [a for a in ordered if verdict(a) == word] for word in VERDICTS}
    parts = [f"{word}: {_listed(members)}" for word, members in groups.items() if members]
    return f"{head}{'; '.join([covered, *parts])}."


def area_table(areas: Sequence[RuleArea]) -> pd.DataFrame:
    """One line per model and rule: its area, the difference to the baseline's, and the reference point."""
    return pd.DataFrame(
        [
            {
                "model": one.model,
                "rule": RULES[one.rule].title,
                "area": _share(one.area),
                "baseline": "" if one.baseline_rule is None else RULES[one.baseline_rule].title,
                "difference": "" if one.difference is None else _gap(one.difference),
                "verdict": verdict(one),
                "metric": metric_title(one.frame.reference["quality_metric"]),
                "reference GMACs/image": amount(one.frame.box.cost),
                "reference value": _value(one.frame.reference),
                "best value": _value(one.frame.best),
            }
            for one in areas
        ]
    )


def verdict(one: RuleArea) -> str:
    """More, less or no significant difference to the baseline; empty where nothing was compared."""
    if one.difference is None:
        return ""
    if not one.difference.significant:
        return "no significant difference"
    return "more" if one.difference.value > 0 else "less"


def _frame(rows: pd.DataFrame, model: str) -> Frame:
    sign = sign_of(str(rows["quality_metric"].iloc[0]))
    best, dense = best_row(rows), unguided_dense(rows, model)
    reference = rows.iloc[int((sign * rows["quality"]).to_numpy().argmax())] if dense is None else dense
    box = Box(
        MARGIN * float(rows["gmacs_per_image"].max()), sign * float(reference["quality"]), sign * float(best["quality"])
    )
    return Frame(box, reference, best, dense is not None)


def _listed(members: Sequence[RuleArea]) -> str:
    return ", ".join(f"{RULES[one.rule].title} {one.area.value:.1%}{_by(one.difference)}" for one in members)


def _by(gap: Difference | None) -> str:
    """How much more or less than the baseline, where that is certain."""
    if gap is None or not gap.significant:
        return ""
    low, high = sorted((abs(gap.lower), abs(gap.upper)))
    return f" (by {100 * low:.1f} to {100 * high:.1f} points)"


def _value(cell: pd.Series) -> str:
    return with_error(cell["quality"], cell["quality_se"])


def _share(one: Area) -> str:
    return f"{one.value:.1%} [{one.lower:.1%}, {one.upper:.1%}]"


def _gap(gap: Difference) -> str:
    return f"{gap.value:+.1%} [{gap.lower:+.1%}, {gap.upper:+.1%}]"
