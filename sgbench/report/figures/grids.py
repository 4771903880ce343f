"""Cells that differ in gamma alone: grids over (gamma_strong, gamma_weak), and series of unguided cells."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from sgbench.cells.settings import SETTINGS
from sgbench.report.figures.plotting import MOST_VECTORS, broken, model_text
from sgbench.report.select_rows import constant_gamma, settings_text
from sgbench.stats.frontier import Vector

# Rules whose both gammas are free to be swept.
RULES_OF_TWO_GAMMAS = ("sg", "cfg+sg", "ag+sg")
# Settings that cells of one grid share, apart from the scale.
ALIKE = tuple(name for name in SETTINGS if name not in ("scale", "gamma_strong", "gamma_weak"))
# Less than three by two gammas is a line or a dot.
SIDES = (3, 2)
MOST_TICKS = 10


class Panel(NamedTuple):
    """The cells of one scale; one row for each pair of gammas."""

    scale: float
    rows: pd.DataFrame

    def values(self, strong: Vector, weak: Vector, column: str) -> Vector:
        """A column as an array (gamma_weak, gamma_strong), NaN where no cell was run."""
        table = self.rows.pivot(index="gamma_weak", columns="gamma_strong", values=column)
        return table.reindex(index=weak, columns=strong).to_numpy(dtype=np.float64)


class Grid(NamedTuple):
    """Panels that differ in scale alone, and the gammas on their common axes, rising."""

    rule: str
    settings: str
    strong: Vector
    weak: Vector
    panels: list[Panel]

    @property
    def rows(self) -> pd.DataFrame:
        """The cells of all panels."""
        return pd.concat([panel.rows for panel in self.panels], ignore_index=True)


def grids(rows: pd.DataFrame, model: str, rule: str, alike: tuple[str, ...] = ALIKE) -> list[Grid]:
    """The grids of a rule on a model, those of most cells first; gammas that are schedules belong to none."""
    own = numeric_gammas(rows[(rows["model"] == model) & (rows["guidance"] == rule)])
    found = []
    for _, group in grouped(own, alike):
        panels = [
            Panel(float(str(scale)), cells.drop_duplicates(["gamma_strong", "gamma_weak"]))
            for scale, cells in group.groupby("scale")
        ]
        panels = [panel for panel in panels if _is_grid(panel.rows)]
        if panels:
            cells = pd.concat([panel.rows for panel in panels])
            first = cells.iloc[0]
            sampler = settings_text(first).rsplit(", ", 1)[-1]
            strong, weak = (np.unique(cells[column].to_numpy()) for column in ("gamma_strong", "gamma_weak"))
            found.append(Grid(rule, sampler, strong, weak, panels))
    return sorted(found, key=lambda grid: -len(grid.rows))


def numeric_gammas(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows whose gammas are numbers, as numbers."""
    gammas = {column: constant_gamma(rows, column) for column in ("gamma_strong", "gamma_weak")}
    return rows.assign(**gammas).dropna(subset=list(gammas))


def grouped(rows: pd.DataFrame, alike: tuple[str, ...]) -> list[tuple[object, pd.DataFrame]]:
    """The rows by the settings of `alike` that they have, in order of appearance."""
    present = [column for column in alike if column in rows]
    return [(key, group) for key, group in rows.groupby(present, dropna=False, sort=False)]


def unguided_by_gamma(rows: pd.DataFrame, model: str) -> pd.DataFrame:
    """Unguided rows that differ in a constant gamma alone, by rising gamma: the longest such series of the suite."""
    own = numeric_gammas(rows[(rows["model"] == model) & (rows["guidance"] == "none")])
    series = [cells.drop_duplicates("gamma_strong") for _, cells in grouped(own, ALIKE)]
    return max(series, key=len, default=own).sort_values("gamma_strong", kind="stable")


def draw_mesh(axes: Axes, grid: Grid, values: Vector, **look: Any) -> QuadMesh:
    """Values (gamma_weak, gamma_strong) as coloured cells, with ticks at the gammas, or at every other of many."""
    many = values.size > MOST_VECTORS
    mesh = axes.pcolormesh(edges(grid.strong), edges(grid.weak), values, rasterized=many, **look)
    strong, weak = (gammas[:: -(-len(gammas) // MOST_TICKS)] for gammas in (grid.strong, grid.weak))
    axes.set_xticks(strong)
    axes.set_yticks(weak)
    axes.tick_params(axis="x", rotation=90 if len(strong) > 6 else 0)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(False)
    axes.set_facecolor("white")
    return mesh


def name_gammas(figure: Figure, model: str, title: str) -> None:
    """Name the axes that all panes share, and what the figure shows."""
    figure.supxlabel("gamma of the strong branch", fontsize=10)
    figure.supylabel("gamma of the weak branch", fontsize=10)
    text = broken(f"{model_text(model)}: {title}", figure.get_figwidth() - 0.2)
    figure.suptitle(text, x=0.01, ha="left", fontsize=10, fontweight="bold")


def edges(gammas: Vector) -> Vector:
    """Borders of the cells around rising gammas: half way between neighbours."""
    middle = (gammas[1:] + gammas[:-1]) / 2
    return np.concatenate([[2 * gammas[0] - middle[0]], middle, [2 * gammas[-1] - middle[-1]]])


def _is_grid(rows: pd.DataFrame) -> bool:
    sides = sorted((rows["gamma_strong"].nunique(), rows["gamma_weak"].nunique()), reverse=True)
    return sides[0] >= SIDES[0] and sides[1] >= SIDES[1] and len(rows) >= SIDES[0] * SIDES[1]
