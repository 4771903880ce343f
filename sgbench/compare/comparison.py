"""The comparison as a whole: every pair with its findings, and what a gate would fail on."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sgbench.base.errors import UserError
from sgbench.compare.lines import Line, Pair, Source, match
from sgbench.compare.sources import open_source
from sgbench.compare.verdicts import (
    GMACS,
    LEVEL,
    SECONDS,
    Finding,
    Verdict,
    cost_findings,
    holm,
    is_tested,
    score_findings,
    with_verdict,
)
from sgbench.metrics.catalogue import METRICS, check_names

NAMED = 3
QUIET: tuple[Verdict, ...] = ("same", "no significant difference")


class Comparison(NamedTuple):
    """Two sources, pair by pair."""

    a: Source
    b: Source
    pairs: list[Pair]
    findings: list[tuple[Pair, Finding]]
    """One for each score and cost of a pair, pair by pair."""
    only_a: list[Line]
    only_b: list[Line]
    tests: int
    """How many comparisons were tested, which Holm's correction counts."""

    def counts(self) -> dict[Verdict, int]:
        """How many findings there are of each verdict."""
        return Counter(finding.verdict for _, finding in self.findings)

    def failures(self) -> list[str]:
        """What is worse, not comparable or missing in B, in sentences; empty where a gate passes."""
        worse = Counter(title(f.measure) for _, f in self.findings if f.verdict == "worse")
        sentences = [f"{name} is worse in {counted(number, 'pair')}" for name, number in worse.items()]
        # What only B has is new, and nothing is lost.
        refused = [f for _, f in self.findings if f.verdict == "not comparable" and f.a == f.a]
        if refused:
            first = f"{title(refused[0].measure)}: {refused[0].reason}"
            sentences.append(f"{counted(len(refused), 'value')} of A cannot be compared (first: {first})")
        if self.only_a:
            sentences.append(f"{counted(len(self.only_a), 'line')} of A have no counterpart in B: {named(self.only_a)}")
        return sentences

    def as_dict(self, everything: bool = False) -> dict[str, Any]:
        """The comparison as plain data; without `everything`, findings without a change are only counted."""
        counts = self.counts()
        return {
            "a": _source(self.a),
            "b": _source(self.b),
            "pairs": len(self.pairs),
            "only_a": [line.name for line in self.only_a],
            "only_b": [line.name for line in self.only_b],
            "tests": self.tests,
            "level": LEVEL,
            "verdicts": {verdict.replace(" ", "_"): counts[verdict] for verdict in sorted(counts)},
            "images": dict(sorted(Counter(pair.images for pair in self.pairs).items())),
            "findings": [_finding(p, f) for p, f in self.findings if everything or f.verdict not in QUIET],
            "failures": self.failures(),
            "passed": not self.failures(),
        }


def compare(
    a: str | Path,
    b: str | Path,
    metrics: Sequence[str] | None = None,
    results: Path = Path("results"),
    seconds: bool = True,
) -> Comparison:
    """B against A: each a folder of results, rows, a cell, or a document of `sgbench score IMAGES... --json`.

    All metrics that either has, or those named; seconds can be left out. Raises UserError where a source cannot be
    read, a named metric is unknown or without scores in either, and where nothing at all can be compared.
    """
    if metrics is not None:
        check_names(metrics)
    return compare_sources(open_source(str(a), results), open_source(str(b), results), metrics, seconds)


def compare_sources(
    first: Source, second: Source, metrics: Sequence[str] | None = None, seconds: bool = True
) -> Comparison:
    """The same for sources that were read. Raises UserError where nothing can be compared."""
    both = f"{first.where} and {second.where}"
    present = [{metric for line in source.lines for metric in line.scores} for source in (first, second)]
    for source, own in zip((first, second), present, strict=True):
        for metric in metrics or ():
            if metric not in own:
                fix = "score it first, or leave the metric out"
                raise UserError(f"there is no score for {metric}", where=source.where, fix=fix)
    matched = match(first.lines, second.lines)
    if not matched.pairs:
        what = f"no line of A has a counterpart in B ({named(first.lines)} against {named(second.lines)})"
        fix = "compare results of the same settings, or one cell or set with one other"
        raise UserError(what, where=both, fix=fix)
    wanted = set.union(*present) if metrics is None else set(metrics)
    ordered = [metric for metric in METRICS if metric in wanted]
    found: list[tuple[Pair, Finding]] = []
    for pair in matched.pairs:
        found += [(pair, finding) for finding in (*score_findings(pair, ordered), *cost_findings(pair, seconds))]
    if all(finding.verdict == "not comparable" for _, finding in found):
        reason = f"{title(found[0][1].measure)}: {found[0][1].reason}" if found else "they have no metric in common"
        raise UserError(f"not comparable: {reason}", where=both, fix="score both with the same options")
    tested = [finding.change.p for _, finding in found if finding.change is not None and is_tested(finding)]
    adjusted = iter(holm(tested))
    found = [(pair, with_verdict(f, next(adjusted)) if is_tested(f) else f) for pair, f in found]
    return Comparison(first, second, matched.pairs, found, matched.only_a, matched.only_b, len(tested))


def title(measure: str) -> str:
    """The title of a finding's measure."""
    return {GMACS: "GMACs/image", SECONDS: "s/image"}.get(measure) or METRICS[measure].title


def named(lines: Sequence[Line]) -> str:
    """The first few lines by name, and how many more there are."""
    more = f"; and {len(lines) - NAMED} more" if len(lines) > NAMED else ""
    return "; ".join(line.name for line in lines[:NAMED]) + more


def counted(number: int, noun: str) -> str:
    """A number and its noun, in the plural unless it is 1."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _source(source: Source) -> dict[str, Any]:
    return {"source": source.where, "lines": len(source.lines), "made_by": source.made_by, "unknown": source.unknown}


def _finding(pair: Pair, finding: Finding) -> dict[str, Any]:
    """A finding as plain data; JSON has no NaN, so unknown values are null."""
    change = {} if finding.change is None else finding.change._asdict()
    known = {
        **{"name": pair.name, "cell_a": pair.a.cell, "cell_b": pair.b.cell, "samples": pair.a.samples},
        **{"remark": pair.remark, "images": pair.images},
        **finding._asdict(),
        "change": {**change, "value": finding.b - finding.a},
    }
    return _without_nan(known)


def _without_nan(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_nan(value) if isinstance(value, dict) else None if value != value else value
        for key, value in values.items()
    }
