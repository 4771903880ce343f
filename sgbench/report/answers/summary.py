"""The sentences of a report: the summary first, then a section for each question."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sgbench.metrics.catalogue import METRICS, qualities
from sgbench.report.answers import headline
from sgbench.report.answers.answer import Question, Section
from sgbench.report.answers.areas import AREAS
from sgbench.report.answers.budgets import BUDGETS
from sgbench.report.answers.headline import SAVINGS, Comparison
from sgbench.report.answers.metric_agreement import AGREEMENT
from sgbench.report.answers.prompt_groups import GROUPS
from sgbench.report.answers.throughput import throughput_words
from sgbench.report.select_rows import Selection, with_quality

# In the order of their sections. Comparisons come first: the summary is made from them.
QUESTIONS: tuple[Question[Any], ...] = (SAVINGS, BUDGETS, AREAS, GROUPS, AGREEMENT)


class Words(NamedTuple):
    """The summary, and the sections that follow it."""

    summary: list[str]
    sections: list[Section]


def in_words(selected: Selection) -> Words:
    """Summary and sections of a selection. The summary is on the first model; without metrics it is on throughput."""
    if not selected.metrics:
        return Words(*throughput_words(selected.rows))
    found = [question.compare(selected) for question in QUESTIONS]
    summary = _summary(selected, [c for c in found[0] if c.model == selected.models[0]])
    answered = zip(QUESTIONS, found, strict=True)
    return Words(summary, [question.section(own, summary) for question, own in answered if own])


def _summary(selected: Selection, compared: Sequence[Comparison]) -> list[str]:
    """The answer for the first model: its headline rule by the first metric, then by further ones."""
    rows, model = selected.rows, selected.models[0]
    if not compared:
        return [headline.nothing_to_compare(rows, model)]
    rule = headline.headline_rule(compared)
    found = [s for c in compared if c.rule == rule for s in headline.sentences(c)]
    for metric in qualities(selected.metrics)[1:]:
        if METRICS[metric].prominent:
            # Another feature space or judge may answer otherwise.
            others = headline.compare_rules(with_quality(rows, metric), model, ["gmacs_per_image"])
            found += [headline.sentences(c)[0] for c in others if c.rule == rule]
    tied = headline.all_tied(compared)
    return [*([tied] if tied else []), *found]
