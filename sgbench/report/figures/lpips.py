"""How far guidance moves samples: LPIPS to the unguided image of the same seed (figure 7 of arXiv 2601.01608)."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sgbench.guidance import RULES
from sgbench.report.figures.plotting import ReportFigure, figure_title, legend_below, plane, rule_handle
from sgbench.report.figures.style import LOOK, WIDTH
from sgbench.report.select_rows import best_row, by_rule, rated, replicates, settings_text
from sgbench.stats.frontier import Vector

COLUMN = "lpips_percentiles"
TITLE = "LPIPS to the unguided images, each rule at its best"
PLACES = 200


def draw(rows: pd.DataFrame, model: str, suffix: str) -> list[ReportFigure]:
    """A density for the best cell of every rule that has percentiles."""
    if COLUMN not in rows:
        return []
    own = rated(rows[rows["model"] == model])
    cells = {rule: best_row(cells) for rule, cells in by_rule(own, model).items()}
    spreads = {rule: np.array(replicates(cell[COLUMN])) for rule, cell in cells.items() if pd.notna(cell[COLUMN])}
    # Where all images are as far there is no density.
    spreads = {rule: found for rule, found in spreads.items() if found.min() < found.max()}
    if not spreads:
        return []
    settings = "; ".join(f"{RULES[rule].title} {settings_text(cells[rule])}" for rule in spreads)
    caption = (
        f"{own['samples'].iloc[0]:,} images a cell: {settings}. Kernel densities (Scott's rule) of percentiles 1 to "
        "99, not drawn beyond them; marks are medians."
    )
    return [ReportFigure(f"lpips{suffix}", TITLE, caption, _figure(spreads, model), model)]


def density(percentiles: Vector) -> tuple[Vector, Vector]:
    """Places (PLACES,) from percentile 1 to 99 and the density there; the outer hundredths are not made up."""
    # Takes a second to import, and most reports have no LPIPS.
    from scipy.stats import gaussian_kde

    places = np.linspace(percentiles[0], percentiles[-1], PLACES)
    return places, np.asarray(gaussian_kde(percentiles)(places))


@mpl.rc_context(LOOK)
def _figure(spreads: dict[str, Vector], model: str) -> Figure:
    figure, axes = plane(WIDTH - 0.6, 3.8)
    for rule, percentiles in spreads.items():
        style = RULES[rule].style
        places, height = density(percentiles)
        axes.plot(places, height, color=style.colour, linestyle=style.line)
        axes.fill_between(places, height, color=style.colour, alpha=0.08, linewidth=0)
        median = percentiles[len(percentiles) // 2]
        axes.plot(median, np.interp(median, places, height), color=style.colour, marker=style.marker)
    axes.set_ylim(bottom=0)
    axes.set(
        xlabel="LPIPS to the unguided image of the same seed",
        ylabel="density",
        title=figure_title(model, TITLE, WIDTH - 0.6),
    )
    legend_below(figure, [rule_handle(rule) for rule in spreads])
    return figure
