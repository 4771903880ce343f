"""The static figures of a report, one per file."""

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd

from sgbench.metrics.catalogue import METRICS, qualities
from sgbench.report.figures import diversity, frontier, heat_map, series, speed
from sgbench.report.figures.plotting import LOOK, ReportFigure
from sgbench.report.select_rows import Axis, with_quality


@mpl.rc_context(LOOK)
def draw_figures(
    rows: pd.DataFrame, models: dict[str, str], axes: Sequence[Axis], metrics: Sequence[str]
) -> list[ReportFigure]:
    """Every figure that the rows of a suite hold: those of each model, in order, then those of whole training runs.

    `models` maps names to suffixes of file names, "" for the first. `axes` are costs that all rows share.
    Without `metrics` only figures of time are drawn.
    """
    # A kernel distance repeats what the Frechet distance of the same features says.
    further = [metric for metric in qualities(list(metrics))[1:] if METRICS[metric].prominent]
    drawn: list[ReportFigure] = []
    for model, suffix in models.items():
        if metrics:
            for axis in axes:
                drawn += frontier.draw(rows, model, suffix, axis)
            # Further metrics against GMACs only: seconds would show the same.
            for metric in further:
                drawn += frontier.draw(with_quality(rows, metric), model, suffix, "gmacs_per_image", metric)
            drawn += diversity.draw_precision_recall(rows, model, suffix)
            drawn += heat_map.draw(rows, model, suffix)
            drawn += series.draw_gammas(rows, model, suffix)
            drawn += diversity.draw_lpips(rows, model, suffix)
        drawn += speed.draw_maps(rows, model, suffix)
        drawn += speed.draw_speed_up(rows, model, suffix)
    if metrics:
        drawn += series.draw_training(rows, models)
        drawn += series.draw_weak_ages(rows, models)
    return drawn
