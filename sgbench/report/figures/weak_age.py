"""Quality of autoguidance against the age of its weak checkpoint (figure 7 of arXiv 2601.01608)."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from sgbench.guidance import RULES
from sgbench.report.figures.drawn import (
    Drawn,
    broken,
    half_widths,
    legend_below,
    metric_facts,
    metric_label,
    rule_handle,
    scale_quality,
    set_log,
)
from sgbench.report.figures.runs import best_along, families
from sgbench.report.select_rows import metric_title
from sgbench.report.style import LOOK, WIDTH, style_of

# Rules whose weak branch is another checkpoint.
OF_TWO_CHECKPOINTS = tuple(
    name for name, rule in RULES.items() if rule.weak is not None and rule.weak.checkpoint == "auxiliary"
)


def draw(rows: pd.DataFrame, models: Mapping[str, str]) -> list[Drawn]:
    """A figure for each main checkpoint that was run with two weak ones or more of known age."""
    metric = str(rows["quality_metric"].iloc[0])
    found = []
    for models_of_run in (names for runs in families(rows) for names in runs.values()):
        run = rows[rows["model"].isin(models_of_run)]
        for iterations, own in run.groupby("iterations"):
            names = list(dict.fromkeys(own["model"]))
            cells = {rule: best_along(own, names, rule, "auxiliary_iterations") for rule in OF_TWO_CHECKPOINTS}
            cells = {rule: best for rule, best in cells.items() if len(best) > 1}
            if not cells:
                continue
            title = f"{metric_title(metric)} against the age of the weak checkpoint"
            caption = (
                f"Each rule's best cell at each weak checkpoint; the main one, {names[0]}, has {iterations:,.0f} "
                f"iterations. "
                f"{metric_facts(own, metric)}"
            )
            figure = _figure(cells, title, metric)
            found.append(Drawn(f"weak-checkpoint{models[names[0]]}", title, caption, figure, names[0]))
    return found


@mpl.rc_context(LOOK)
def _figure(cells: dict[str, pd.DataFrame], title: str, metric: str) -> Figure:
    figure = Figure(figsize=(WIDTH - 0.6, 3.9), layout="constrained")
    axes = figure.subplots()
    for rule, best in cells.items():
        style = style_of(rule)
        axes.errorbar(
            best["auxiliary_iterations"] / best["iterations"], best["quality"], yerr=half_widths(best, "quality"),
            color=style.colour, marker=style.marker, linestyle=style.line, elinewidth=0.9, capsize=2,
        )  # fmt: skip
    together = pd.concat(cells.values())
    # Ages are chosen by factors; a linear axis would crush the early ones.
    set_log(axes, "x")
    axes.set_xticks(sorted(set(together["auxiliary_iterations"] / together["iterations"])))
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g} %")
    scale_quality(axes, together["quality"], metric)
    axes.set(
        xlabel="iterations of the weak checkpoint, share of the main one's",
        ylabel=metric_label(together, metric),
        title=broken(title, WIDTH - 1.3),
    )
    legend_below(figure, [rule_handle(rule) for rule in cells])
    return figure
