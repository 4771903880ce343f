"""The verdict on each value of a pair: scores by their errors, GMACs by the count, seconds by their quartiles.

Changes of scores are tested paired or unpaired, by Student's t, corrected for the number of comparisons.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from sgbench.compare.lines import Cost, Pair, Score
from sgbench.metrics.catalogue import METRICS
from sgbench.metrics.protocols import differences
from sgbench.stats.estimates import paired_difference

Verdict = Literal["worse", "better", "changed", "no significant difference", "same", "not comparable"]
LEVEL = 0.05
# Scoring the same images on two machines may change a distance by this share of it (docs/accuracy.md).
ACCURACY = 1e-5
SLOWER = 1.05
# The last bit of a decimal fraction depends on the reader of the table; a count that is off by one differs by more.
ROUNDING = 1e-14
GMACS, SECONDS = "gmacs_per_image", "seconds_per_image"


class Change(NamedTuple):
    """B minus A with its standard error, its own 95 % interval, and the p-value of no difference (two-sided)."""

    value: float
    standard_error: float
    lower: float
    upper: float
    p: float


class Finding(NamedTuple):
    """One score or cost of a pair: both values (NaN where there is none), their change and the verdict."""

    measure: str
    a: float
    b: float
    verdict: Verdict
    change: Change | None = None
    """None where nothing was tested: counts, seconds, and what cannot be compared."""
    paired: bool = False
    adjusted_p: float = float("nan")
    reason: str = ""
    """Why the two are not comparable."""


def score_findings(pair: Pair, metrics: Sequence[str]) -> list[Finding]:
    """A finding for each metric that either line has; tested ones get their verdict from `with_verdict`."""
    either = {**pair.a.scores, **pair.b.scores}
    return [_score(pair, metric) for metric in metrics if metric in either]


def _score(pair: Pair, metric: str) -> Finding:
    a, b = pair.a.scores.get(metric), pair.b.scores.get(metric)
    if a is None or b is None:
        reason = "no value in A" if a is None else "no value in B"
        return Finding(metric, a.value if a else math.nan, b.value if b else math.nan, "not comparable", reason=reason)
    if a.protocol_id != b.protocol_id:
        found = differences(a.protocol, b.protocol) if a.protocol and b.protocol else []
        reason = "; ".join(found) or f"protocol {a.protocol_id} against {b.protocol_id}"
        return Finding(metric, a.value, b.value, "not comparable", reason=reason)
    alike = len(a.replicates) == len(b.replicates)
    paired = pair.same_seed and alike
    change = paired_change(a, b) if paired else unpaired_change(a, b)
    values = zip((a.value, *a.replicates), (b.value, *b.replicates), strict=alike)
    same = alike and all(math.isclose(x, y, rel_tol=ACCURACY) for x, y in values)
    return Finding(metric, a.value, b.value, "same" if same else "no significant difference", change, paired)


def is_tested(finding: Finding) -> bool:
    """Whether a finding is one of the comparisons that Holm's correction counts; equal scores are not."""
    return finding.change is not None and finding.verdict != "same"


def with_verdict(finding: Finding, adjusted_p: float) -> Finding:
    """A tested finding with its verdict; a metric without a direction can change, but not for the better."""
    assert finding.change is not None
    if adjusted_p > LEVEL or not finding.change.value:
        return finding._replace(adjusted_p=adjusted_p)
    direction = METRICS[finding.measure].better
    verdict: Verdict = "changed"
    if direction:
        verdict = "better" if (finding.change.value < 0) == (direction == "lower") else "worse"
    return finding._replace(adjusted_p=adjusted_p, verdict=verdict)


def cost_findings(pair: Pair, seconds: bool) -> list[Finding]:
    """GMACs and, where asked for, seconds per image; nothing for sets of images, which have no cost."""
    a, b = pair.a.cost, pair.b.cost
    if a is None or b is None:
        return []
    return [_count(a, b), *([_clock(a, b)] if seconds else [])]


def _count(a: Cost, b: Cost) -> Finding:
    if math.isclose(a.gmacs, b.gmacs, rel_tol=ROUNDING):
        return Finding(GMACS, a.gmacs, b.gmacs, "same")
    return Finding(GMACS, a.gmacs, b.gmacs, "worse" if b.gmacs > a.gmacs else "better")


def _clock(a: Cost, b: Cost) -> Finding:
    different = [
        f"{name} {getattr(a, name)} against {getattr(b, name)}"
        for name in ("device", "threads", "batch")
        if getattr(a, name) != getattr(b, name)
    ]
    first, second = (a.lower_quartile, a.seconds, a.upper_quartile), (b.lower_quartile, b.seconds, b.upper_quartile)
    if not different and any(map(math.isnan, first + second)):
        different = ["no quartiles"]
    if different:
        return Finding(SECONDS, a.seconds, b.seconds, "not comparable", reason="; ".join(different))
    if first == second:
        return Finding(SECONDS, a.seconds, b.seconds, "same")
    verdict: Verdict = "no significant difference"
    if b.lower_quartile > a.upper_quartile and b.seconds > SLOWER * a.seconds:
        verdict = "worse"
    elif a.lower_quartile > b.upper_quartile and a.seconds > SLOWER * b.seconds:
        verdict = "better"
    return Finding(SECONDS, a.seconds, b.seconds, verdict)


def paired_change(a: Score, b: Score) -> Change:
    """Of scores whose replicates leave out the same groups: Student's t with groups - 1 degrees of freedom."""
    found = paired_difference(b.value, a.value, b.replicates, a.replicates)
    return Change(*found, _p(found.value, found.standard_error, len(a.replicates) - 1))


def unpaired_change(a: Score, b: Score) -> Change:
    """Of scores that share nothing: errors add up in squares, degrees of freedom by Welch (1947) and Satterthwaite."""
    variances = a.standard_error**2, b.standard_error**2
    freedoms = len(a.replicates) - 1, len(b.replicates) - 1
    error = math.sqrt(sum(variances))
    if error:
        # Shares, since squares of small variances would vanish.
        shares = [variance / sum(variances) for variance in variances]
        freedom = 1 / sum(share**2 / own for share, own in zip(shares, freedoms, strict=True))
    else:
        freedom = float(min(freedoms))
    value = b.value - a.value
    half = float(stdtrit(freedom, 0.975)) * error
    return Change(value, error, value - half, value + half, _p(value, error, freedom))


def _p(value: float, error: float, freedom: float) -> float:
    if not error:
        return 0.0 if value else 1.0
    return 2 * float(stdtr(freedom, -abs(value) / error))


def holm(p: Sequence[float]) -> list[float]:
    """P-values adjusted for their number by Holm's step-down procedure (1979, Scand. J. Statist. 6, 65-70).

    Rejecting those below a level keeps the chance of any false rejection below it, however comparisons depend.
    """
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return adjusted.tolist()
