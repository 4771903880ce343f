"""Strips: the same seeds under each other, a line for each rule's best cell or for each gamma."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sgbench import api
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id
from sgbench.report.figures.grids import unguided_by_gamma
from sgbench.report.pictures.image_grids import Line, best_cells, draw, strips
from sgbench.results.store import Store
from sgbench.run.finalize import gallery_png
from sgbench.suite.sweep import expand

pytestmark = pytest.mark.slow

SWEEP = [
    {"guidance": "none", "gamma_strong": [0.6, 0, 0.3]},
    {"guidance": "none", "gamma_strong": [0, 0.3], "steps": 4},
    {"guidance": "cfg", "scale": [1.5, 2]},
    {"guidance": "sg", "gamma_strong": 0, "gamma_weak": 0.7, "scale": [1.5, 2]},
]
QUALITY = [0.3, 0.4, 0.5, 0.45, 0.6, 0.2, 0.1, 0.3, 0.25]
TILE, BAND = 96, 48
Given = tuple[pd.DataFrame, list[Cell], Store]


def rows_of(cells: list[Cell], metric: str = "fd") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cell": cell_id(c), "model": c.model, "guidance": c.guidance.rule, "scale": c.guidance.scale,
            "gamma_strong": c.guidance.gamma_strong, "gamma_weak": c.guidance.gamma_weak, "steps": c.sampler.steps,
            "sampler": c.sampler.name, "quality": value, "quality_se": 0.01, "quality_metric": metric,
        }
        for c, value in zip(cells, QUALITY, strict=True)
    )  # fmt: skip


def images(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (20, 32, 32, 1), dtype=np.uint8)


@pytest.fixture
def suite(tmp_path: Path, suite_file: Callable[..., Path]) -> Given:
    cells = expand(api.load_suite(suite_file(sweep=SWEEP)))
    store = Store(tmp_path / "results", "tiny")
    for number, cell in enumerate(cells):
        store.write_picture(cell, "gallery", gallery_png(images(number)))
    return rows_of(cells), cells, store


def test_lines_are_the_best_cells_with_the_same_seeds(suite: Given) -> None:
    rules, gammas = strips(*suite)
    assert rules.file.startswith("gallery/rules-fashion-tiny")
    assert gammas.file.startswith("gallery/gammas-fashion-tiny")
    assert rules.caption == (
        "fashion-tiny, the best cell of each rule by FD[fashion-cnn]: the first 10 images, the same seeds in the "
        "same columns, uncurated. From left to right: T-shirt; trouser; pullover; dress; coat; sandal; "
        "shirt; sneaker; bag; ankle boot."
    )
    assert rules.alt.endswith(
        "unguided, gamma 0, 2 steps: FD[fashion-cnn] 0.400 ± 0.010; CFG, w 2, 2 steps: FD[fashion-cnn] 0.100 ± 0.010; "
        "SG, w 2, gamma 0 / 0.7, 2 steps: FD[fashion-cnn] 0.250 ± 0.010"
    )
    sheet = np.asarray(Image.open(io.BytesIO(rules.data)).convert("L"))
    assert sheet.shape == (rules.height, rules.width) == (3 * (TILE + BAND), 10 * TILE)
    # Cells 1, 6 and 8 of the sweep; each line is its gallery's first row, three times as large.
    for line, cell in enumerate((1, 6, 8)):
        top = line * (TILE + BAND) + BAND
        shown = sheet[top : top + TILE : 3, ::3]
        assert np.array_equal(shown, np.concatenate(list(images(cell)[:10, :, :, 0]), axis=1))
        assert sheet[top - BAND : top].min() < 50
    assert strips(*suite) == [rules, gammas]


def test_higher_may_be_better_and_values_may_be_missing(suite: Given) -> None:
    rows = suite[0].assign(quality_metric="composition")
    assert best_cells(rows, "fashion-tiny")["quality"].tolist() == [0.45, 0.2, 0.3]
    lacking = suite[0].assign(quality=suite[0]["quality"].where(suite[0]["guidance"] != "cfg"))
    assert best_cells(lacking, "fashion-tiny")["guidance"].tolist() == ["none", "sg"]
    assert best_cells(suite[0].drop(columns="quality"), "fashion-tiny").empty


def test_sparsity_is_all_that_differs_in_the_second_strip(suite: Given) -> None:
    rows = suite[0]
    assert unguided_by_gamma(rows, "fashion-tiny")["gamma_strong"].tolist() == [0.0, 0.3, 0.6]
    assert set(unguided_by_gamma(rows, "fashion-tiny")["steps"]) == {2}
    # A column with a schedule in it is text throughout, and a schedule is no place on the line.
    text = rows.assign(gamma_strong=rows["gamma_strong"].astype(str).replace("0.6", "cosine 0.6 to 0"))
    assert unguided_by_gamma(text, "fashion-tiny")["gamma_strong"].tolist() == [0.0, 0.3]
    assert best_cells(text, "fashion-tiny")["gamma_strong"].iloc[0] == "0.0"
    one = rows[(rows["guidance"] != "none") | (rows["gamma_strong"] == 0)]
    assert [p.file.split("-")[0] for p in strips(one, *suite[1:])] == ["gallery/rules"]


def test_a_missing_picture_is_named(suite: Given) -> None:
    rows, cells, store = suite
    (store.cell_folder(cells[6]) / "gallery.png").write_bytes(b"no png")
    rules, _ = strips(rows, cells, store)
    assert rules.caption.endswith("Without a picture: CFG, w 2, 2 steps.")
    assert "CFG, w 2, 2 steps" not in rules.alt
    for cell in cells:
        (store.cell_folder(cell) / "gallery.png").unlink(missing_ok=True)
    assert strips(rows, cells, store) == []


@settings(deadline=None, max_examples=25)
@given(st.sampled_from([8, 16, 28, 32, 64, 128, 256, 512]), st.text(min_size=1, max_size=200))
def test_any_label_fits_any_size(side: int, label: str) -> None:
    lines = [Line(label.replace("\n", " "), Image.new(mode, (10 * side, side))) for mode in ("L", "RGB")]
    drawn = draw(lines)
    tile = drawn.width // 10
    assert 96 <= tile <= 128
    assert tile % side == 0 or side % tile == 0
    assert drawn.mode == "RGB"
    band = drawn.width // 40 * 2
    assert drawn.height == 2 * (tile + band)
    assert np.asarray(drawn)[:band, -1].min() == 255
