"""Scores of each group of prompts, for every rule's best cell."""

from collections.abc import Sequence

import pandas as pd

from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS
from sgbench.report.answers.answer import Question
from sgbench.report.select_rows import best_row, by_rule, rated, settings_text, with_quality
from sgbench.stats.estimates import with_error


def group_table(rows: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Each rule's best cell by every metric that has groups, group by group; empty where no metric has any."""
    lines = []
    for metric in metrics:
        columns = [str(column) for column in rows if str(column).startswith(f"{metric}[")]
        groups = [column.removeprefix(f"{metric}[")[:-1] for column in columns if column.endswith("]")]
        scored = rated(with_quality(rows, metric)) if groups else rows.iloc[:0]
        for model in dict.fromkeys(scored["model"]):
            for rule, own in by_rule(scored, model).items():
                best = best_row(own)
                line = {"model": model, "rule": RULES[rule].title, "settings": settings_text(best)}
                line["metric"] = METRICS[metric].title
                line |= {g: with_error(best[f"{metric}[{g}]"], best[f"{metric}[{g}]_se"]) for g in groups}
                lines.append(line)
    return pd.DataFrame(lines).fillna("")


GROUPS = Question(
    title="By group of prompts",
    note="Each rule's best cell by each metric; errors are one standard error, by prompt.",
    file="groups.csv",
    compare=lambda selected: [table for table in [group_table(selected.rows, selected.metrics)] if not table.empty],
    sentences=lambda table: [],
    table=lambda found: found[0],
)
