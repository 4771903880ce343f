"""Verdicts where the answer is known: counts, clocks, protocols, directions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sgbench.compare.lines import Cost, Line, Pair, Score
from sgbench.compare.verdicts import Finding, cost_findings, is_tested, score_findings, with_verdict
from sgbench.metrics.protocols import Protocol

COST = Cost(1.5, 0.02, 0.019, 0.021, "cpu", 2, 24)
LOW, HIGH = [1.0, 1.1, 0.9, 1.05, 0.95], [2.0, 2.2, 1.9, 2.05, 1.95]


@pytest.fixture(scope="module")
def finding(line: Callable[..., Line]) -> Callable[..., Finding]:
    def make(metric: str, a: Score, b: Score, seed: int | None = 0) -> Finding:
        (found,) = score_findings(Pair(line(**{metric: a}), line(seed=seed, **{metric: b})), [metric])
        return found

    return make


def costs(line: Callable[..., Line], **changes: object) -> list[Finding]:
    return cost_findings(Pair(line(), line(cost=COST._replace(**changes))), seconds=True)


@pytest.mark.parametrize(
    ("metric", "up", "down"),
    [("fd", "worse", "better"), ("recall", "better", "worse"), ("nearest_train", "changed", "changed")],
)
def test_the_direction_belongs_to_the_metric(
    finding: Callable[..., Finding], score: Callable[..., Score], metric: str, up: str, down: str
) -> None:
    rise = finding(metric, score(LOW), score(HIGH))
    assert is_tested(rise)
    assert with_verdict(rise, 0.04).verdict == up
    assert with_verdict(finding(metric, score(HIGH), score(LOW)), 0.04).verdict == down
    assert with_verdict(rise, 0.06).verdict == "no significant difference"


def test_equal_scores_are_the_same_and_are_not_tested(
    finding: Callable[..., Finding], score: Callable[..., Score]
) -> None:
    # Rows keep seven digits of a replicate, documents all of them.
    rounded = score(LOW)._replace(replicates=tuple(float(f"{r:.7g}") for r in score(LOW).replicates))
    found = finding("fd", score(LOW), rounded)
    assert found.verdict == "same"
    assert not is_tested(found)
    moved = score([1.001, *LOW[1:]])
    assert finding("fd", score(LOW), moved).verdict == "no significant difference"


def test_pairs_need_one_seed_and_the_same_groups(finding: Callable[..., Finding], score: Callable[..., Score]) -> None:
    assert finding("fd", score(LOW), score(HIGH)).paired
    assert not finding("fd", score(LOW), score(HIGH), seed=1).paired
    assert not finding("fd", score(LOW), score(HIGH), seed=None).paired
    assert not finding("fd", score(LOW), score(HIGH * 2)).paired


def test_protocols_that_differ_are_never_compared(finding: Callable[..., Finding], score: Callable[..., Score]) -> None:
    found = finding("fd", score(LOW), score(HIGH, "q"))
    assert (found.verdict, found.reason, found.change) == ("not comparable", "protocol p against q", None)
    one = Protocol("fd", "v", "e", "0" * 64, "i", "uint8", 100, "balanced", "r", "1" * 64)
    a, b = (
        score(parts, name)._replace(protocol=one._replace(samples=n))
        for parts, name, n in ((LOW, "p", 100), (HIGH, "q", 200))
    )
    assert finding("fd", a, b).reason == "samples 100 against 200"


def test_a_value_on_one_side_only_is_not_comparable(line: Callable[..., Line], score: Callable[..., Score]) -> None:
    scored, bare = line(fd=score(LOW)), line()
    assert [f.reason for f in score_findings(Pair(scored, bare), ["fd", "recall"])] == ["no value in B"]
    assert [f.reason for f in score_findings(Pair(bare, scored), ["fd", "recall"])] == ["no value in A"]
    assert score_findings(Pair(bare, bare), ["fd"]) == []


@pytest.mark.parametrize(("gmacs", "verdict"), [(1.5, "same"), (1.500000001, "worse"), (1.499999999, "better")])
def test_counts_are_facts(line: Callable[..., Line], gmacs: float, verdict: str) -> None:
    assert costs(line, gmacs=gmacs)[0].verdict == verdict


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        ({"seconds": 0.03, "lower_quartile": 0.029, "upper_quartile": 0.031}, "worse", ""),
        ({"seconds": 0.01, "lower_quartile": 0.009, "upper_quartile": 0.011}, "better", ""),
        # Quartile ranges that meet say nothing, and neither do 4 %, however sharp.
        ({"seconds": 0.03, "lower_quartile": 0.021, "upper_quartile": 0.031}, "no significant difference", ""),
        ({"seconds": 0.0208, "lower_quartile": 0.0208, "upper_quartile": 0.0208}, "no significant difference", ""),
        ({}, "same", ""),
        ({"device": "gpu", "threads": 4}, "not comparable", "device cpu against gpu; threads 2 against 4"),
        ({"batch": 8}, "not comparable", "batch 24 against 8"),
        ({"lower_quartile": float("nan")}, "not comparable", "no quartiles"),
    ],
)
def test_seconds_by_quartiles_on_one_device(
    line: Callable[..., Line], changes: dict[str, object], verdict: str, reason: str
) -> None:
    found = costs(line, **changes)[1]
    assert (found.verdict, found.reason) == (verdict, reason)


def test_a_sharp_change_of_four_percent_is_none_and_of_six_is_one(line: Callable[..., Line]) -> None:
    sharp = COST._replace(lower_quartile=0.02, upper_quartile=0.02)
    for seconds, verdict in ((0.0208, "no significant difference"), (0.0212, "worse")):
        slow = sharp._replace(seconds=seconds, lower_quartile=seconds, upper_quartile=seconds)
        assert cost_findings(Pair(line(cost=sharp), line(cost=slow)), seconds=True)[1].verdict == verdict


def test_images_have_no_cost(line: Callable[..., Line]) -> None:
    assert cost_findings(Pair(line(), line(cost=None)), seconds=True) == []
    assert [f.measure for f in cost_findings(Pair(line(), line()), seconds=False)] == ["gmacs_per_image"]
