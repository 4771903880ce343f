"""Precision against recall, and LPIPS to the unguided image of the same seed (figure 7 of arXiv 2601.01608)."""

import numpy as np
import pandas as pd

from sgbench.guidance import RULES
from sgbench.report.figures import plotting
from sgbench.report.figures.plotting import WIDTH, ReportFigure
from sgbench.report.select_rows import best_row, by_rule, rated, replicates, settings_text
from sgbench.stats.frontier import Vector

TITLE = "precision against recall"
COLUMN = "lpips_percentiles"
MOVED = "LPIPS to the unguided images, each rule at its best"
PLACES = 200


def draw_precision_recall(rows: pd.DataFrame, model: str, suffix: str) -> list[ReportFigure]:
    """Every cell of one model that has both, with 95 % intervals."""
    if not {"precision", "recall"} <= set(rows.columns):
        return []
    own = rows[(rows["model"] == model) & rows["precision"].notna() & rows["recall"].notna()]
    if own.empty:
        return []
    bars = len(own) <= plotting.MOST_BARS
    figure, axes = plotting.plane(WIDTH, 4.5, f"{plotting.model_text(model)}: {TITLE}")
    rules = by_rule(own, model)
    for rule, cells in rules.items():
        plotting.scatter_cells(axes, cells, "recall", "precision", rule, len(own))
        if bars:
            across, up = (plotting.half_widths(cells, metric) for metric in ("recall", "precision"))
            axes.errorbar(
                cells["recall"], cells["precision"], xerr=across, yerr=up, fmt="none",
                ecolor=RULES[rule].style.colour, elinewidth=0.6, alpha=0.35,
            )  # fmt: skip
    axes.set(xlabel=plotting.metric_label(own, "recall"), ylabel=plotting.metric_label(own, "precision"))
    plotting.legend_below(figure, [plotting.rule_handle(rule, line=False) for rule in rules])
    facts = [plotting.metric_facts(own, metric, bars) for metric in ("precision", "recall")]
    caption = " ".join(["Up and right is better.", *facts])
    return [ReportFigure(f"precision-recall{suffix}", TITLE, caption, figure, model)]


def draw_lpips(rows: pd.DataFrame, model: str, suffix: str) -> list[ReportFigure]:
    """A density for the best cell of every rule that has percentiles."""
    if COLUMN not in rows:
        return []
    own = rated(rows[rows["model"] == model])
    cells = {rule: best_row(cells) for rule, cells in by_rule(own, model).items()}
    spreads = {rule: np.array(replicates(cell[COLUMN])) for rule, cell in cells.items() if pd.notna(cell[COLUMN])}
    # If all distances are equal there is no density.
    spreads = {rule: found for rule, found in spreads.items() if found.min() < found.max()}
    if not spreads:
        return []
    figure, axes = plotting.plane(WIDTH - 0.6, 3.8, f"{plotting.model_text(model)}: {MOVED}")
    for rule, percentiles in spreads.items():
        style = RULES[rule].style
        places, height = density(percentiles)
        axes.plot(places, height, color=style.colour, linestyle=style.line)
        axes.fill_between(places, height, color=style.colour, alpha=0.08, linewidth=0)
        median = percentiles[len(percentiles) // 2]
        axes.plot(median, np.interp(median, places, height), color=style.colour, marker=style.marker)
    axes.set_ylim(bottom=0)
    axes.set(xlabel="LPIPS to the unguided image of the same seed", ylabel="density")
    plotting.legend_below(figure, [plotting.rule_handle(rule) for rule in spreads])
    settings = "; ".join(f"{RULES[rule].title} {settings_text(cells[rule])}" for rule in spreads)
    caption = (
        f"{own['samples'].iloc[0]:,} images per cell: {settings}. Kernel densities (Scott's rule) of percentiles 1 to "
        "99, not drawn beyond them; marks are medians."
    )
    return [ReportFigure(f"lpips{suffix}", MOVED, caption, figure, model)]


def density(percentiles: Vector) -> tuple[Vector, Vector]:
    """Places (PLACES,) from percentile 1 to 99 and the density there; nothing is extrapolated beyond them."""
    # Takes a second to import, and most reports have no LPIPS.
    from scipy.stats import gaussian_kde

    places = np.linspace(percentiles[0], percentiles[-1], PLACES)
    return places, np.asarray(gaussian_kde(percentiles)(places))
