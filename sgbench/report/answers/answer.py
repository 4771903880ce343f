"""What all answers of a report share: their shape, the baseline, and how differences read."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import pandas as pd

from sgbench.guidance import RULES
from sgbench.report.select_rows import Selection, replicates, sign_of
from sgbench.stats.estimates import Difference, decimals, paired_difference

# Rules that others are compared with: the first that was run.
BASELINES = ("cfg", "ag", "icg", "apg", "none")
NO_DIFFERENCE = "no significant difference"
Finding = TypeVar("Finding")


class Section(NamedTuple):
    """An answer on the page, in table.md and, without its table, in report.json."""

    title: str
    sentences: list[str]
    table: pd.DataFrame | None
    note: str
    file: str = ""
    """File name of the table as csv."""


@dataclass(frozen=True)
class Question(Generic[Finding]):
    """A question that a report answers: what it compares, and its findings as sentences and as one table."""

    title: str
    note: str
    file: str
    compare: Callable[[Selection], list[Finding]]
    sentences: Callable[[Finding], list[str]]
    table: Callable[[list[Finding]], pd.DataFrame | None]

    def section(self, found: list[Finding], summary: Sequence[str]) -> Section:
        """The answer, without sentences that the summary has."""
        sentences = [sentence for finding in found for sentence in self.sentences(finding) if sentence not in summary]
        return Section(self.title, sentences, self.table(found), self.note, self.file)


def baseline_of(rules: Collection[str]) -> str | None:
    """The rule that the others of a model are compared with; None if none of `BASELINES` was scored."""
    return next((rule for rule in BASELINES if rule in rules), None)


def name_of(rule: str) -> str:
    """A rule as sentences call it."""
    return RULES[rule].title if RULES[rule].guided else f"the {RULES[rule].title} model"


def cell_difference(first: pd.Series, second: pd.Series, metric: str) -> Difference:
    """A metric of one cell minus that of another, paired by the images left out."""
    return paired_difference(
        float(first[metric]),
        float(second[metric]),
        replicates(first[f"{metric}_replicates"]),
        replicates(second[f"{metric}_replicates"]),
    )


def verdict(gap: Difference | None, positive: str, negative: str) -> str:
    """What a difference comes to in a word or three; empty where nothing was compared."""
    if gap is None:
        return ""
    if not gap.significant:
        return NO_DIFFERENCE
    return positive if gap.value > 0 else negative


def quality_verdict(gap: Difference | None, metric: str) -> str:
    """Better, worse or no significant difference, by the metric's own direction."""
    return verdict(gap, "worse", "better") if sign_of(metric) > 0 else verdict(gap, "better", "worse")


def by_verdict(described: Sequence[tuple[str, str]], verdicts: Sequence[str]) -> list[str]:
    """Pairs of a verdict and what it is on, as one text for each of some verdicts: `better: SG, AG`."""
    groups = {word: [text for found, text in described if found == word] for word in (*verdicts, NO_DIFFERENCE)}
    return [f"{word}: {', '.join(texts)}" for word, texts in groups.items() if texts]


def interval_text(gap: Difference | None) -> str:
    """A difference with its interval, to the digits that its error leaves; empty where nothing was compared."""
    if gap is None:
        return ""
    digits = decimals(gap.standard_error)
    return f"{gap.value:+.{digits}f} [{gap.lower:+.{digits}f}, {gap.upper:+.{digits}f}]"
