"""The sentences of a report: the summary first, then a section for each question; without metrics one on speed."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS, qualities
from sgbench.report.answers import headline
from sgbench.report.answers.answer import Question, Section
from sgbench.report.answers.areas import AREAS
from sgbench.report.answers.budgets import BUDGETS
from sgbench.report.answers.headline import SAVINGS, Comparison
from sgbench.report.answers.metric_agreement import AGREEMENT
from sgbench.report.answers.prompt_groups import GROUPS
from sgbench.report.select_rows import Selection, settings_text, with_quality

# In the order of their sections. Comparisons come first: the summary is made from them.
QUESTIONS: tuple[Question[Any], ...] = (SAVINGS, BUDGETS, AREAS, GROUPS, AGREEMENT)


class Words(NamedTuple):
    """The summary, and the sections that follow it."""

    summary: list[str]
    sections: list[Section]


def in_words(selected: Selection) -> Words:
    """Summary and sections of a selection. The summary is on the first model; without metrics it is on throughput."""
    if not selected.metrics:
        return _throughput(selected.rows)
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


def _throughput(rows: pd.DataFrame) -> Words:
    """Theoretical speed-up in MACs, and measured speed-up."""
    ratios = throughput_table(rows)
    most = ratios.iloc[int(ratios["MAC ratio"].to_numpy().argmax())]
    summary = ["No quality was measured in this suite: it has no metrics."]
    if "random" in set(rows["weights"]):
        summary.append("Weights are random: times and MACs are meaningful, images are not.")
    if most["MAC ratio"] > 1:
        summary.append(
            f"The sparsest cell ({most['model']}, {most['rule']}, {most['settings']}) needs {most['MAC ratio']:.2f} "
            f"times fewer MACs than the first cell of its model and is {most['speed-up']:.2f} times as fast."
        )
    devices = ", ".join(sorted(set(rows["device"])))
    batches = ", ".join(str(batch) for batch in sorted(set(rows["batch"])))
    note = (
        "MAC ratio and speed-up are relative to the first cell of the same model, in this run, on this device: "
        f"{devices}, batch {batches}. Seconds are sampling only; decoding is listed separately."
    )
    return Words(summary, [Section("Theoretical and measured speed-up", [], ratios.drop(columns="cell"), note)])


def throughput_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per cell; ratios against the first cell of its model."""
    first = rows.groupby("model", sort=False)[["gmacs_per_image", "seconds_per_image"]].transform("first")
    return pd.DataFrame(
        {
            "model": rows["model"],
            "weights": rows["weights"],
            "dropped tokens": rows["dropped_tokens"],
            "rule": [RULES[rule].title for rule in rows["guidance"]],
            "settings": [settings_text(row) for _, row in rows.iterrows()],
            "GMACs/image": rows["gmacs_per_image"].round(3),
            "MAC ratio": (first["gmacs_per_image"] / rows["gmacs_per_image"]).round(3),
            "s/image": rows["seconds_per_image"].round(5),
            "images/s": rows["images_per_second"].round(3),
            "speed-up": (first["seconds_per_image"] / rows["seconds_per_image"]).round(3),
            "decode GMACs/image": rows["decode_gmacs_per_image"],
            "decode s/image": rows["decode_seconds_per_image"],
            "N": rows["samples"],
            "cell": rows["cell"],
        }
    )
