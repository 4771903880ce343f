"""Pictures of cells: whole, small, in the rows' order; what is missing is said."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sgbench import api
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id
from sgbench.report.pictures import gallery
from sgbench.report.pictures.gallery import conditions_of, nearest_of_cells, pictures_of_cells, prompts_of
from sgbench.results.store import Store
from sgbench.run.finalize import GALLERY_COLUMNS, GALLERY_ROWS, gallery_png
from sgbench.suite.sweep import expand

SWEEP = [
    {"guidance": "none"},
    {"guidance": "cfg", "scale": 2},
    {"guidance": "sg", "scale": 2, "gamma_strong": 0, "gamma_weak": 0.7},
]


class Drawn(NamedTuple):
    rows: pd.DataFrame
    cells: list[Cell]
    store: Store


def rows_of(cells: list[Cell]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cell": cell_id(c), "model": c.model, "guidance": c.guidance.rule, "scale": c.guidance.scale,
            "gamma_strong": c.guidance.gamma_strong, "gamma_weak": c.guidance.gamma_weak, "steps": c.sampler.steps,
        }
        for c in cells
    )  # fmt: skip


def smooth(seed: int, side: int, channels: int = 1, count: int = 20) -> np.ndarray:
    """Images of a gradient with a little noise: what a codec meets."""
    random = np.random.default_rng(seed)
    ground = np.add.outer(np.arange(side), np.arange(side)) * (200 / (2 * side))
    noise = random.normal(0, 4, (count, side, side, channels))
    return (ground[None, :, :, None] + noise + 20).clip(0, 255).astype(np.uint8)


@pytest.fixture
def drawn(tmp_path: Path, suite_file: Callable[..., Path]) -> Drawn:
    cells = expand(api.load_suite(suite_file(sweep=SWEEP)))
    store = Store(tmp_path / "results", "tiny")
    for number, cell in enumerate(cells):
        store.write_picture(cell, "gallery", gallery_png(smooth(number, 32)))
    return Drawn(rows_of(cells), cells, store)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_the_grid_is_that_of_run() -> None:
    assert (gallery.COLUMNS, gallery.PICTURES) == (GALLERY_COLUMNS, GALLERY_ROWS * GALLERY_COLUMNS)


@pytest.mark.slow
def test_every_cell_has_its_picture_without_loss(drawn: Drawn) -> None:
    found = pictures_of_cells(*drawn)
    assert found.left_out == []
    assert list(found.pictures) == drawn.rows["cell"].tolist()
    for cell, picture in zip(drawn.cells, found.pictures.values(), strict=True):
        png = drawn.store.read_picture(cell, "gallery")
        assert png is not None
        assert picture.media == "image/webp"
        assert picture.file == f"gallery/{cell_id(cell)}.webp"
        assert len(picture.data) < len(png)
        assert (picture.width, picture.height) == opened(picture.data).size == (320, 64)
        assert np.array_equal(opened(picture.data).convert("L"), opened(png))
    assert [p.caption for p in found.pictures.values()][1:] == [
        "fashion-tiny: CFG, w 2, 2 steps",
        "fashion-tiny: SG, w 2, gamma 0 / 0.7, 2 steps",
    ]
    assert pictures_of_cells(*drawn) == found


def test_what_would_take_long_stays_png(drawn: Drawn) -> None:
    pictures = pictures_of_cells(*drawn, limit_bytes=100).pictures
    assert [p.data for p in pictures.values()] == [drawn.store.read_picture(cell, "gallery") for cell in drawn.cells]
    assert {(p.media, p.file[-4:]) for p in pictures.values()} == {("image/png", ".png")}


@pytest.mark.slow
def test_large_images_lose_a_little(drawn: Drawn) -> None:
    for number, cell in enumerate(drawn.cells):
        drawn.store.write_picture(cell, "gallery", gallery_png(smooth(number, 80, 3)))
    for cell, picture in zip(drawn.cells, pictures_of_cells(*drawn).pictures.values(), strict=True):
        png = drawn.store.read_picture(cell, "gallery")
        assert png is not None
        assert len(picture.data) < len(png) / 4
        lost = np.asarray(opened(picture.data)).astype(int) - np.asarray(opened(png))
        assert 0 < np.abs(lost).mean() < 8


def test_a_png_that_is_smaller_stays(drawn: Drawn) -> None:
    """A picture of eight grey levels at random: WebP has no way to pack it, PNG takes three bits a pixel."""
    levels = np.random.default_rng(0).integers(0, 2, (20, 2, 2, 1), dtype=np.uint8) * 255
    for cell in drawn.cells:
        drawn.store.write_picture(cell, "gallery", gallery_png(levels))
    for cell, picture in zip(drawn.cells, pictures_of_cells(*drawn).pictures.values(), strict=True):
        png = drawn.store.read_picture(cell, "gallery")
        assert png is not None
        assert len(picture.data) <= len(png)


def test_missing_and_damaged_pictures_are_told(drawn: Drawn) -> None:
    first, second, third = drawn.cells
    (drawn.store.cell_folder(first) / "gallery.png").unlink()
    png = drawn.store.read_picture(second, "gallery")
    assert png is not None
    drawn.store.write_picture(second, "gallery", png[: len(png) // 2])
    found = pictures_of_cells(*drawn)
    assert list(found.pictures) == [cell_id(third)]
    assert found.left_out == [
        f"2 of 3 cells have no complete gallery.png ({cell_id(first)}, {cell_id(second)}); `sgbench run` makes it."
    ]


def test_pictures_beyond_the_room_are_told(drawn: Drawn, monkeypatch: pytest.MonkeyPatch) -> None:
    png = drawn.store.read_picture(drawn.cells[0], "gallery")
    assert png is not None
    monkeypatch.setattr(gallery, "MOST_BYTES", len(png) + 1)
    found = pictures_of_cells(*drawn)
    assert list(found.pictures) == [cell_id(drawn.cells[0])]
    assert found.left_out[0].startswith("2 of 3 cells have no picture here (")


def test_places_say_what_was_asked_for(drawn: Drawn, suite_file: Callable[..., Path]) -> None:
    assert conditions_of(drawn.cells[0], 12)[8:] == ["bag", "ankle boot", "T-shirt", "trouser"]
    public = drawn.cells[0]._replace(model="dit-xl-256", labels="random")
    assert all(text.startswith("class ") for text in conditions_of(public, 3))
    assert len(set(conditions_of(public, 3))) == 3
    suite = api.load_suite(suite_file(model="shapes", metrics=["composition"], prompts="shapes", reference=None))
    prompts = prompts_of(suite)
    assert len(prompts) == gallery.PICTURES
    assert conditions_of(expand(suite)[0], 5) == prompts[:5]
    assert prompts_of(suite.model_copy(update={"prompts": ""})) == []


def test_nearest_images_are_shown_where_they_were_looked_for(drawn: Drawn) -> None:
    assert nearest_of_cells(*drawn) == ({}, [])
    drawn.store.write_picture(drawn.cells[1], "nearest", gallery_png(smooth(9, 32)))
    drawn.store.write_picture(drawn.cells[2], "nearest", b"\x89PNG")
    found = nearest_of_cells(*drawn)
    (picture,) = found.pictures.values()
    assert picture.file == f"gallery/{cell_id(drawn.cells[1])}-nearest.webp"
    assert picture.caption.startswith("fashion-tiny: CFG, w 2, 2 steps. Each generated image, followed by")
    assert found.left_out == []
