"""What is said of each value of a pair: scores by their errors, GMACs by the count, seconds by their quartiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from sgbench.compare.lines import Cost, Score
from sgbench.compare.matching import Pair
from sgbench.compare.significance import Change, paired_change, unpaired_change
from sgbench.metrics.catalogue import METRICS
from sgbench.metrics.protocols import differences

Verdict = Literal["worse", "better", "changed", "no significant difference", "same", "not comparable"]
LEVEL = 0.05
# Scoring the same images twice, on two machines, may move a distance by this share of it (docs/accuracy.md).
ACCURACY = 1e-5
SLOWER = 1.05
# The last bit of a decimal fraction depends on who read the table; a count that is off by one is farther off.
ROUNDING = 1e-14
GMACS, SECONDS = "gmacs_per_image", "seconds_per_image"


class Finding(NamedTuple):
    """One score or cost of a pair: both values (NaN where there is none), their change and what it amounts to."""

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
    """A finding for each metric that either line has. What is neither the same nor not comparable awaits `judged`."""
    return [
        _score(pair, metric, pair.a.scores.get(metric), pair.b.scores.get(metric))
        for metric in metrics
        if metric in pair.a.scores or metric in pair.b.scores
    ]


def _score(pair: Pair, metric: str, a: Score | None, b: Score | None) -> Finding:
    if a is None or b is None:
        reason = "no value in A" if a is None else "no value in B"
        return Finding(metric, _value(a), _value(b), "not comparable", reason=reason)
    if a.protocol_id != b.protocol_id:
        return Finding(metric, a.value, b.value, "not comparable", reason=_gap(a, b))
    paired = pair.same_seed and len(a.replicates) == len(b.replicates)
    change = paired_change(a, b) if paired else unpaired_change(a, b)
    same = _close([a.value, *a.replicates], [b.value, *b.replicates])
    return Finding(metric, a.value, b.value, "same" if same else "no significant difference", change, paired)


def _value(score: Score | None) -> float:
    return float("nan") if score is None else score.value


def _gap(a: Score, b: Score) -> str:
    """What two protocols differ in, or their ids where they are not known in full."""
    told = differences(a.protocol, b.protocol) if a.protocol and b.protocol else []
    return "; ".join(told) or f"protocol {a.protocol_id} against {b.protocol_id}"


def _close(a: Sequence[float], b: Sequence[float]) -> bool:
    return len(a) == len(b) and all(math.isclose(x, y, rel_tol=ACCURACY) for x, y in zip(a, b, strict=True))


def is_tested(finding: Finding) -> bool:
    """Whether a finding is one of the comparisons that Holm's correction counts: equal scores are no question."""
    return finding.change is not None and finding.verdict != "same"


def judged(finding: Finding, adjusted_p: float) -> Finding:
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
    told = [
        f"{name} {one} against {other}"
        for name, one, other in (
            ("device", a.device, b.device),
            ("threads", a.threads, b.threads),
            ("batch", a.batch, b.batch),
        )
        if one != other
    ]
    first, second = (a.lower_quartile, a.seconds, a.upper_quartile), (b.lower_quartile, b.seconds, b.upper_quartile)
    if not told and any(map(math.isnan, first + second)):
        told = ["no quartiles"]
    if told:
        return Finding(SECONDS, a.seconds, b.seconds, "not comparable", reason="; ".join(told))
    if first == second:
        return Finding(SECONDS, a.seconds, b.seconds, "same")
    verdict: Verdict = "no significant difference"
    if b.lower_quartile > a.upper_quartile and b.seconds > SLOWER * a.seconds:
        verdict = "worse"
    elif a.lower_quartile > b.upper_quartile and a.seconds > SLOWER * b.seconds:
        verdict = "better"
    return Finding(SECONDS, a.seconds, b.seconds, verdict)
