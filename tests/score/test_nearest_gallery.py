"""Nearest real images: found where they are known to be, shown in order, refused where nobody kept them."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from sgbench import api
from sgbench.base.errors import UserError
from sgbench.base.progress import Silent
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id
from sgbench.cli.images import nearest as command
from sgbench.images import sets as image_sets
from sgbench.metrics.extract import load_extractor
from sgbench.metrics.numerics.neighbours import Training
from sgbench.metrics.references.build import build_reference
from sgbench.metrics.references.catalogue import CARD
from sgbench.metrics.references.load import load_reference
from sgbench.report.pictures.gallery import read_sheet
from sgbench.results.store import Store
from sgbench.score.nearest_gallery import Nearest, find_nearest, picture, search
from sgbench.suite.schema import Suite
from sgbench.suite.sweep import expand
from sgbench.zoo import data

CPU = torch.device("cpu")
DATA = Path(__file__).parents[2] / "data"
SUITES = Path(__file__).parents[2] / "suites"
SuiteFile = Callable[..., Path]


@pytest.fixture(scope="module")
def train() -> data.Split:
    """The training images, where `sgbench zoo data` put them."""
    if not (DATA / "fashion-mnist.npz").is_file():
        pytest.skip("data/fashion-mnist.npz is not there: run `sgbench zoo data`")
    return data.load(DATA)[0]


def written(suite: Suite, results: Path, images: np.ndarray, **changes: str) -> tuple[Cell, Store]:
    """The first cell of a suite with these images, as a run leaves it."""
    cells = expand(suite)
    store = Store(results, suite.suite)
    store.write_lock(suite.model_copy(update=changes), cells)
    store.write_cell(cells[0])
    store.write_shard(cells[0], 0, images, {})
    return cells[0], store


def look(cell: Cell, store: Store, folder: Path | None = None, images: int = 10, neighbours: int = 3) -> Nearest:
    return find_nearest(cell, store, images, neighbours, folder, CPU, Silent())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.integers(1, 12), st.integers(1, 40), st.integers(1, 9))
def test_the_search_is_that_of_all_distances(seed: int, count: int, among: int, k: int) -> None:
    random = np.random.default_rng(seed)
    real = random.normal(size=(among, 7)).astype(np.float32)
    # Every other image is a copy of a real one.
    images = random.normal(size=(count, 7)).astype(np.float32)
    images[::2] = real[random.integers(0, among, len(images[::2]))]
    places, distances = search(images, real, Training(real, CPU), min(k, among))
    every = np.linalg.norm(images[:, None].astype(np.float64) - real, axis=2)
    assert np.allclose(distances, np.sort(every, axis=1)[:, : places.shape[1]], atol=1e-12)
    assert np.array_equal(np.take_along_axis(every, places, axis=1), distances)
    assert not distances[::2, 0].any()


def test_the_picture_has_a_line_per_image() -> None:
    own = np.arange(2, dtype=np.uint8).reshape(2, 1, 1, 1) + np.zeros((2, 8, 8, 1), np.uint8)
    near = np.arange(10, 16, dtype=np.uint8).reshape(2, 3, 1, 1, 1) + np.zeros((2, 3, 8, 8, 3), np.uint8)
    sheet = np.asarray(Image.open(io.BytesIO(picture(own, near, "said"))))
    # A grey image beside neighbours in colour is shown in colour; the gap is white.
    assert sheet.shape == (16, 8 + 2 + 3 * 8, 3)
    assert sheet[::8, ::8, 0].tolist() == [[0, 255, 10, 11, 12], [1, 255, 13, 14, 15]]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 6), st.sampled_from([(8, 8), (8, 24), (24, 8)]))
def test_many_lines_fill_columns(count: int, k: int, size: tuple[int, int]) -> None:
    """Every image is there once, down the columns; the picture is not much taller than wide."""
    height, width = size
    own = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1) + np.zeros((1, height, width, 1), np.uint8)
    near = (100 + np.arange(k)).astype(np.uint8).reshape(1, -1, 1, 1, 1) + own[:, None]
    sheet = np.asarray(Image.open(io.BytesIO(picture(own, near, "said"))))
    gap = max(2, width // 4)
    wide = gap + (k + 2) * width
    assert sheet.shape[0] <= sheet.shape[1] + width + height
    # All columns but the last have a white margin.
    margined = np.pad(sheet[::height], ((0, 0), (0, width)), constant_values=255)
    lines = np.concatenate(np.split(margined, margined.shape[1] // wide, axis=1))[:count]
    assert lines[:, 0].tolist() == list(range(count))
    assert lines[:, gap + width : gap + (k + 1) * width : width].tolist() == near[:, :, 0, 0, 0].tolist()
    assert all((line == 255).sum() == gap for line in lines[:, : gap + (k + 1) * width])


def test_training_features_stand_in_the_order_of_the_training_images(train: data.Split) -> None:
    reference = load_reference("fashion-mnist")
    kept = reference.training("fashion-cnn", "features")
    some = np.r_[:240, 59_760:60_000]
    made = load_extractor("fashion-cnn", CPU)([train.images[some][..., None]], "here")["features"]
    steps = np.abs(made.astype(np.float64) - kept[some]) / (kept.max(axis=0) / 255)
    # Rounding to 256 steps moves a feature by half a step.
    assert steps.max() < 0.51


def test_copies_of_training_images_are_found(train: data.Split, suite_file: SuiteFile, tmp_path: Path) -> None:
    copied = [59_999, 0, 1234]
    unlike = 255 - train.images[[7]]
    cell, store = written(
        api.load_suite(suite_file()), tmp_path, np.concatenate([train.images[copied], unlike])[..., None]
    )
    found = look(cell, store, DATA)
    assert (found.cell, found.extractor, found.among) == (
        cell_id(cell), "fashion-cnn", "60,000 training images of fashion-mnist",
    )  # fmt: skip
    assert [line[0] for line in found.neighbours[:3]] == copied
    assert max(line[0] for line in found.distances[:3]) < 0.03 < found.distances[3][0]
    assert all(line == sorted(line) for line in found.distances)
    # What `nearest_train` gives as its floor for the same reference.
    assert found.usual == pytest.approx(0.5310614511966564, rel=1e-4)
    png = store.read_picture(cell, "nearest")
    assert png is not None
    sheet = read_sheet(png)
    assert sheet is not None
    assert sheet.says == found.describe()
    assert "real images held out of training are 0.531 away on average." in sheet.says
    pixels = np.asarray(Image.open(io.BytesIO(png)))
    assert pixels.shape == (4 * 32, 32 + 8 + 3 * 32)
    for line, place in enumerate(copied):
        top = slice(line * 32, line * 32 + 32)
        assert np.array_equal(pixels[top, :32], pixels[top, 40:72])
        assert np.array_equal(pixels[top, 40:72], train.images[place])


@pytest.fixture
def built(image_folder: Callable[..., Path], tmp_path: Path) -> tuple[Path, Path]:
    """A folder of grey images, and a reference built of it whose home is the packaged lite0."""
    source = image_folder("real", channels=1)
    out = tmp_path / "built"
    build_reference(str(source), out, ["lite0"], DATA, CPU, Silent())
    card = json.loads((out / CARD).read_text())
    (out / CARD).write_text(json.dumps({**card, "home": "lite0"}))
    return source, out


@pytest.mark.slow
def test_a_built_reference_is_looked_through_with_its_images(
    built: tuple[Path, Path], image_folder: Callable[..., Path], suite_file: SuiteFile, tmp_path: Path
) -> None:
    source, out = built
    real = np.stack([np.asarray(Image.open(source / f"{number}.png")) for number in range(24)])[..., None]
    cell, store = written(api.load_suite(suite_file()), tmp_path / "results", real[[20, 3]], reference=str(out))
    found = look(cell, store, source)
    assert [line[0] for line in found.neighbours] == [20, 3]
    assert max(line[0] for line in found.distances) < 1e-2
    assert found.among == "24 images of the reference real"
    assert found.usual is None
    assert len(look(cell, store, source, images=1, neighbours=20).neighbours[0]) == 20
    with pytest.raises(UserError, match="the reference real keeps features of its images, not the images; give the"):
        look(cell, store)
    other = image_folder("other", channels=1, seed=1)
    with pytest.raises(UserError, match="other: these are not the images that the reference real was made from"):
        look(cell, store, other)


@pytest.mark.slow
def test_images_of_an_npz_are_picked_from_its_parts(
    suite_file: SuiteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_sets, "PART", 7)
    real = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 1), dtype=np.uint8)
    np.savez(tmp_path / "real.npz", arr_0=real)
    out = tmp_path / "built"
    build_reference(str(tmp_path / "real.npz"), out, ["lite0"], DATA, CPU, Silent())
    card = json.loads((out / CARD).read_text())
    (out / CARD).write_text(json.dumps({**card, "home": "lite0"}))
    cell, store = written(api.load_suite(suite_file()), tmp_path / "results", real[[19, 5]], reference=str(out))
    found = look(cell, store, tmp_path / "real.npz", neighbours=1)
    assert found.neighbours == [[19], [5]]
    png = store.read_picture(cell, "nearest")
    assert png is not None
    pixels = np.asarray(Image.open(io.BytesIO(png)))
    assert np.array_equal(pixels[:, :32], pixels[:, 40:])


@pytest.mark.slow
def test_what_is_missing_is_named(built: tuple[Path, Path], suite_file: SuiteFile, tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 1), dtype=np.uint8)
    suite = api.load_suite(suite_file())
    cell, store = written(suite, tmp_path / "a", grey)
    with pytest.raises(UserError, match=r"the training images are not in .*; run `sgbench zoo data` first"):
        look(cell, store, tmp_path)
    (store.folder / "suite.lock.yaml").write_text("suite: [")
    with pytest.raises(UserError, match="the reference of the cell's suite is not recorded there"):
        look(cell, store)
    store.write_lock(suite.model_copy(update={"reference": ""}), [cell])
    with pytest.raises(UserError, match="the suite has no reference, so there are no real images to search; choose"):
        look(cell, store)
    shutil.rmtree(store.cell_folder(cell) / "shards")
    with pytest.raises(UserError, match="the suite has no reference"):
        look(cell, store)
    store.write_lock(suite.model_copy(update={"reference": str(built[1])}), [cell])
    store.write_shard(cell, 0, grey[:, :16, :16], {})
    with pytest.raises(UserError, match="the images are 16 x 16 pixels, and those of the reference real 32 x 32"):
        look(cell, store, built[0])
    (store.cell_folder(cell) / "shards" / "00000.json").unlink()
    with pytest.raises(UserError, match="the cell has no images here"):
        look(cell, store)
    colour = np.repeat(grey, 3, axis=3)
    drawn, other = written(api.load_suite(SUITES / "shapes.yaml"), tmp_path / "b", colour)
    with pytest.raises(UserError, match=r"\(the model was trained on drawings generated at every step and not kept\)"):
        look(drawn, other)


@pytest.mark.slow
def test_the_command_prints_distances(built: tuple[Path, Path], suite_file: SuiteFile, tmp_path: Path) -> None:
    grey = np.random.default_rng(5).integers(0, 256, (4, 32, 32, 1), dtype=np.uint8)
    cell, store = written(api.load_suite(suite_file()), tmp_path / "results", grey, reference=str(built[1]))
    app = typer.Typer()
    app.command()(command)
    arguments = [cell_id(cell), "--results", str(tmp_path / "results"), "--data", str(built[0]), "--device", "cpu"]
    told = CliRunner().invoke(app, [*arguments, "--images", "2", "--json"], catch_exceptions=False).stdout
    document = json.loads(told.splitlines()[-1])
    assert [len(line) for line in document["distances"]] == [5, 5]
    assert document["file"] == str(store.cell_folder(cell) / "nearest.png")
    text = CliRunner().invoke(app, [*arguments, "--neighbours", "1"], catch_exceptions=False).stdout
    assert text.splitlines()[0] == f"image   0  nearest at {document['distances'][0][0]:.3f}"
    assert (
        "The first 4 generated images, to the right of each the one nearest to it of 24 images of the reference real"
        in text
    )
