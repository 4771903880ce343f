"""Quality along gamma, training iterations or the age of a weak checkpoint (figures 4, 5, 7 of arXiv 2601.01608)."""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath

import pandas as pd
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sgbench.guidance import RULES
from sgbench.guidance.branches import Line
from sgbench.metrics.catalogue import METRICS
from sgbench.models import catalogue
from sgbench.report.figures import plotting
from sgbench.report.figures.grids import unguided_by_gamma
from sgbench.report.figures.plotting import WIDTH, ReportFigure
from sgbench.report.select_rows import best_row, quality_metric, rated, settings_text

FEWEST = 3
# Checkpoints that have a tick each.
MOST_TICKS = 8
# One for each training run of an architecture, such as a fine-tune.
LINES: tuple[Line, ...] = ("-", "--", ":", "-.")
TRAINED = ("iterations", "auxiliary_iterations")
# Rules whose weak branch is another checkpoint.
OF_TWO_CHECKPOINTS = tuple(
    name for name, rule in RULES.items() if rule.weak is not None and rule.weak.checkpoint == "auxiliary"
)


def draw_gammas(rows: pd.DataFrame, model: str, suffix: str) -> list[ReportFigure]:
    """The longest series of three unguided cells or more that differ in gamma alone."""
    longest = unguided_by_gamma(rated(rows), model)
    if len(longest) < FEWEST:
        return []
    metric = quality_metric(rows)
    title = f"{METRICS[metric].title} without guidance against gamma"
    figure, axes = plotting.plane(WIDTH - 0.6, 3.6, f"{plotting.model_text(model)}: {title}")
    _line(axes, longest["gamma_strong"], longest, "none")
    plotting.quality_axis(axes, longest)
    axes.set_xlabel("gamma: share of tokens that skip work")
    sampler = settings_text(longest.iloc[0]).rsplit(", ", 1)[-1]
    caption = f"{RULES['none'].title}, {sampler}. {plotting.metric_facts(longest, metric)}"
    return [ReportFigure(f"sparsity{suffix}", title, caption, figure, model)]


def draw_training(rows: pd.DataFrame, models: Mapping[str, str]) -> list[ReportFigure]:
    """A figure for each architecture with two checkpoints or more of one run: every rule's best cell at each."""
    found = []
    for runs in families(rows):
        series = {
            (rule, run): cells
            for run, checkpoints in runs.items()
            for rule in RULES
            if len(cells := best_along(rows, checkpoints, rule, "iterations"))
        }
        if all(len(cells) < 2 for cells in series.values()):
            continue
        first = next(iter(runs.values()))[0]
        metric = quality_metric(rows)
        title = f"{METRICS[metric].title} over training"
        facts = plotting.metric_facts(next(iter(series.values())), metric)
        caption = f"Each rule's best cell at each checkpoint. {facts}"
        found.append(ReportFigure(f"training{models[first]}", title, caption, _training(series, first, title), first))
    return found


def draw_weak_ages(rows: pd.DataFrame, models: Mapping[str, str]) -> list[ReportFigure]:
    """A figure for each main checkpoint that was run with two weak ones or more of known age."""
    metric = quality_metric(rows)
    found = []
    for models_of_run in (names for runs in families(rows) for names in runs.values()):
        run = rows[rows["model"].isin(models_of_run)]
        for iterations, own in run.groupby("iterations"):
            names = list(dict.fromkeys(own["model"]))
            cells = {rule: best_along(own, names, rule, "auxiliary_iterations") for rule in OF_TWO_CHECKPOINTS}
            cells = {rule: best for rule, best in cells.items() if len(best) > 1}
            if not cells:
                continue
            title = f"{METRICS[metric].title} against the age of the weak checkpoint"
            caption = (
                f"Each rule's best cell at each weak checkpoint; the main checkpoint, {names[0]}, has "
                f"{iterations:,.0f} iterations. {plotting.metric_facts(own, metric)}"
            )
            figure = _weak_ages(cells, title)
            found.append(ReportFigure(f"weak-checkpoint{models[names[0]]}", title, caption, figure, names[0]))
    return found


def families(rows: pd.DataFrame) -> list[dict[str, list[str]]]:
    """For each architecture its training runs, for each run its models; only models whose iterations are known.

    Checkpoints whose names differ in digits alone are of one run; a fine-tune has another name.
    """
    if not set(TRAINED) <= set(rows.columns):
        return []
    found: dict[object, dict[str, list[str]]] = {}
    for model in dict.fromkeys(rows.loc[rows["iterations"].notna(), "model"]):
        entry = catalogue.entry(model)
        runs = found.setdefault((entry.family.name, entry.architecture), {})
        name = str(entry.main.source or entry.main.path or model)
        runs.setdefault(re.sub(r"\d+", "*", name), []).append(model)
    return list(found.values())


def best_along(rows: pd.DataFrame, models: Sequence[str], rule: str, column: str) -> pd.DataFrame:
    """The best cell of a rule at each value of `column` among some models, by rising value."""
    own = rated(rows[rows["model"].isin(models) & (rows["guidance"] == rule) & rows[column].notna()])
    return pd.DataFrame([best_row(cells) for _, cells in own.groupby(column)])


def _line(axes: Axes, places: pd.Series, cells: pd.DataFrame, rule: str, line: Line | None = None) -> None:
    """Cells of a rule at some places, joined, each with its interval."""
    style = RULES[rule].style
    axes.errorbar(
        places, cells["quality"], yerr=plotting.half_widths(cells, "quality"), color=style.colour, marker=style.marker,
        linestyle=line or style.line, elinewidth=0.9, capsize=2,
    )  # fmt: skip


def _training(series: dict[tuple[str, str], pd.DataFrame], model: str, title: str) -> Figure:
    """The best cells of each rule along each run, by rising iterations."""
    figure, axes = plotting.plane(WIDTH, 4.2, f"{catalogue.entry(model).family.title}: {title}")
    runs = list(dict.fromkeys(run for _, run in series))
    lines = {run: None if len(runs) == 1 else LINES[n % len(LINES)] for n, run in enumerate(runs)}
    for (rule, run), cells in series.items():
        _line(axes, cells["iterations"], cells, rule, lines[run])
    together = pd.concat(series.values())
    plotting.cost_axis(axes, together["iterations"], "training iterations")
    plotting.quality_axis(axes, together)
    ages = sorted(set(together["iterations"]))
    if len(ages) <= MOST_TICKS:
        axes.set_xticks(ages)
    axes.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
    handles = [plotting.rule_handle(rule, line=len(runs) == 1) for rule in dict.fromkeys(rule for rule, _ in series)]
    for run, line in lines.items():
        if line is not None:
            handles.append(Line2D([], [], color="0.3", linestyle=line, label=PurePath(run).stem))
    plotting.legend_below(figure, handles, columns=4 if len(runs) == 1 else 2)
    return figure


def _weak_ages(cells: dict[str, pd.DataFrame], title: str) -> Figure:
    figure, axes = plotting.plane(WIDTH - 0.6, 3.9, title)
    for rule, best in cells.items():
        _line(axes, best["auxiliary_iterations"] / best["iterations"], best, rule)
    together = pd.concat(cells.values())
    # Ages are chosen by factors; a linear axis would crush the early ones.
    plotting.set_log(axes, "x")
    axes.set_xticks(sorted(set(together["auxiliary_iterations"] / together["iterations"])))
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g} %")
    plotting.quality_axis(axes, together)
    axes.set_xlabel("iterations of the weak checkpoint, share of the main one's")
    plotting.legend_below(figure, [plotting.rule_handle(rule) for rule in cells])
    return figure
