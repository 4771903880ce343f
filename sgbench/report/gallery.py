"""Pictures for the page: the best cell of each rule, the same seeds and labels in the same places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from sgbench.guidance import RULES
from sgbench.report.points import best_row, file_names, metric_title, rule_rows, rules_of, settings_text
from sgbench.run.store import Store
from sgbench.suite.cell import Cell
from sgbench.suite.identity import cell_id


class Picture(NamedTuple):
    """One cell's first images as PNG, with what they are."""

    file: str
    model: str
    caption: str
    png: bytes


def choose_pictures(rows: pd.DataFrame, cells: Sequence[Cell], store: Store) -> list[Picture]:
    """For each model, the unguided dense cell and the best cell of every rule; nothing is picked by eye."""
    by_id = {cell_id(cell): cell for cell in cells}
    pictures = []
    for model, name in file_names(rows["model"].tolist()).items():
        for rule in rules_of(rows, model):
            own = rule_rows(rows, model, rule)
            dense = own[own["gamma_strong"] == 0]
            row = best_row(dense if rule == "none" and len(dense) else own)
            png = store.read_gallery(by_id[row["cell"]])
            if png is None:
                continue
            caption = (
                f"{RULES[rule].title}, {settings_text(row)}: {metric_title(row['quality_metric'])} {row['quality']:.3f}"
            )
            pictures.append(Picture(f"{name}-{rule.replace('+', '-')}.png", model, caption, png))
    return pictures
