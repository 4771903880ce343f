"""A comparison as Markdown: changes first, then what is not comparable and why; the rest is counted."""

from collections import Counter

import pandas as pd

from sgbench.compare.comparison import QUIET, Comparison, counted, named, title
from sgbench.compare.lines import Pair, Source
from sgbench.compare.verdicts import LEVEL, SLOWER, Finding, Verdict
from sgbench.stats.estimates import decimals

ORDER: tuple[Verdict, ...] = ("worse", "better", "changed", "no significant difference", "same")


def markdown(comparison: Comparison, everything: bool = False) -> str:
    """The comparison as a table with sentences; with `everything`, unchanged values are listed as well."""
    shown = [(p, f) for p, f in comparison.findings if f.verdict in ORDER and (everything or f.verdict not in QUIET)]
    shown.sort(key=lambda one: ORDER.index(one[1].verdict))
    alone = len(comparison.pairs) == 1
    lines = [{**({} if alone else _what(pair)), **_line(finding)} for pair, finding in shown]
    table = "No value that can be compared has changed."
    if lines:
        # Left as text: tabulate would round what looks like a number.
        table = pd.DataFrame(lines).to_markdown(index=False, disable_numparse=True)
    sources = f"A: {_source(comparison.a)}  \nB: {_source(comparison.b)}"
    sentences = [f"- {sentence}" for sentence in [*_refused(comparison), *_rest(comparison, everything)]]
    return "\n\n".join([sources, _pairs(comparison), table, "\n".join(sentences)])


def _source(source: Source) -> str:
    parts = [f"{source.where}, {counted(len(source.lines), 'line')}"]
    parts += [source.made_by] if source.made_by else []
    parts += [f"not known to this version: {', '.join(source.unknown)}"] if source.unknown else []
    return "; ".join(parts)


def _pairs(comparison: Comparison) -> str:
    """How many pairs there are, how their lines differ, and what is on one side only."""
    pairs = comparison.pairs
    remarks = Counter(pair.remark for pair in pairs if pair.remark)
    images = Counter(pair.images for pair in pairs if pair.images != "unknown")
    notes = [f"{number:,} with {remark}" for remark, number in remarks.items()]
    notes += [f"images {state} in {number:,}" for state, number in images.items()]
    first = f"{_name(pairs[0])}: 1 pair" if len(pairs) == 1 else f"{len(pairs):,} pairs"
    parts = [f"{first} ({', '.join(notes)})." if notes else f"{first}."]
    for side, lines in (("A", comparison.only_a), ("B", comparison.only_b)):
        if lines:
            parts.append(f"Only in {side}: {len(lines):,} ({named(lines)}).")
    return " ".join(parts)


def _name(pair: Pair) -> str:
    return pair.name.replace("|", r"\|")


def _what(pair: Pair) -> dict[str, str]:
    return {"what": f"{_name(pair)} [{pair.remark}]" if pair.remark else _name(pair)}


def _line(finding: Finding) -> dict[str, str]:
    change, gap = finding.change, finding.b - finding.a
    if change is not None:
        digits = decimals(change.standard_error or abs(gap))
        values = [f"{finding.a:.{digits}f}", f"{finding.b:.{digits}f}", f"{gap:+.{digits}f}"]
        interval = f"{change.lower:+.{digits}f} to {change.upper:+.{digits}f}"
        how = "paired" if finding.paired else "unpaired"
    else:
        share = f"{100 * gap / finding.a:+.3g}%" if finding.a else ""
        values = [f"{finding.a:.6g}", f"{finding.b:.6g}", share]
        interval = how = ""
    a, b, moved = values
    return {
        "measure": title(finding.measure),
        "A": a,
        "B": b,
        "change": moved,
        "95 % interval": interval,
        "error": how,
        "verdict": finding.verdict,
    }


def _refused(comparison: Comparison) -> list[str]:
    """A sentence for each measure that cannot be compared and each reason."""
    reasons = Counter((f.measure, f.reason) for _, f in comparison.findings if f.verdict == "not comparable")
    return [
        f"Not comparable: {title(measure)} of {counted(number, 'pair')}, {reason}."
        for (measure, reason), number in reasons.items()
    ]


def _rest(comparison: Comparison, everything: bool) -> list[str]:
    """What is not listed, and how verdicts are made."""
    counts = comparison.counts()
    quiet = [f"{counts[verdict]:,} {verdict}" for verdict in QUIET if counts[verdict]]
    unchanged = [f"Unchanged: {', '.join(quiet)}."] if quiet and not everything else []
    tests = counted(comparison.tests, "comparison")
    return [
        *unchanged,
        f"Scores: significant at {LEVEL:.0%} after Holm's correction for {tests}; intervals are of each change alone.",
        f"GMACs are counts. Seconds are worse or better where quartile ranges do not overlap and medians differ "
        f"by more than {SLOWER - 1:.0%}.",
    ]
