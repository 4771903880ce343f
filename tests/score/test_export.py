"""`sgbench export CELL --geneval FOLDER`: a cell's images of prompts as the published evaluator reads them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from sgbench import api
from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id
from sgbench.cells.prompt_records import TASKS
from sgbench.cli.app import app
from sgbench.images.files import read_image
from sgbench.images.prompted import read_layout
from sgbench.results.store import Store
from sgbench.suite.sweep import expand
from sgbench.zoo.shapes.captions import SHAPES
from tests.stored import stored_images

pytestmark = pytest.mark.slow

Write = Callable[..., Path]
# Words that the packaged model reads, asked for objects that GenEval's detector knows.
RECORDS: list[dict[str, Any]] = [
    {"tag": task, "include": [{"class": "dog", "count": 1}], "prompt": f"a {shape}"}
    for task, shape in zip(TASKS, SHAPES, strict=False)
]


def run(*arguments: object) -> str:
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False).stdout


def drawn(suite_file: Write, results: Path, records: list[dict[str, Any]], **changes: Any) -> Cell:
    """The one cell of a suite that was run."""
    path = results.parent / "own.jsonl"
    path.write_text("\n".join(map(json.dumps, records)))
    text = {"model": "shapes", "prompts": str(path), "metrics": [], "reference": None, "samples": 12}
    sampler = {"name": "euler", "steps": 1}
    suite = api.load_suite(suite_file(**{**text, "sampler": sampler, "sweep": [{"guidance": "none"}], **changes}))
    api.run_suite(suite, results, device="cpu")
    return expand(suite)[0]


def test_written_folders_are_read_back(suite_file: Write, tmp_path: Path) -> None:
    cell = drawn(suite_file, tmp_path / "results", RECORDS)
    arguments = ("export", cell_id(cell), "--geneval", tmp_path / "out", "--results", tmp_path / "results")
    done = json.loads(run(*arguments, "--json"))
    assert done == {"file": str(tmp_path / "out"), "images": 12, "repeated": False}
    images = stored_images(Store(tmp_path / "results", "tiny"), cell, 12)
    found = read_layout(tmp_path / "out")
    assert [record for record, _ in found] == RECORDS
    for prompt, (_, paths) in enumerate(found):
        for number, path in enumerate(paths):
            assert np.array_equal(read_image(path), images[prompt + 6 * number])
    # The same command again writes nothing; the first image of each alone is another set.
    assert f"{tmp_path / 'out'}: 12 images" in run(*arguments)
    api.export(cell_id(cell), results=tmp_path / "results", geneval=tmp_path / "one", limit=6)
    assert [len(paths) for _, paths in read_layout(tmp_path / "one")] == [1] * 6


def test_an_uneven_number_of_images_is_refused(suite_file: Write, tmp_path: Path) -> None:
    cell = drawn(suite_file, tmp_path / "results", RECORDS)
    with pytest.raises(
        UserError, match=r"1 images are missing: there are 11 of 6 prompts; generate equally many of each"
    ):
        api.export(cell_id(cell), results=tmp_path / "results", geneval=tmp_path / "out", limit=11)
    assert not (tmp_path / "out").exists()


def test_a_cell_of_classes_is_refused(suite_file: Write, tmp_path: Path) -> None:
    cell = drawn(suite_file, tmp_path / "results", RECORDS, model="fashion-tiny", prompts=None)
    with pytest.raises(UserError, match="the cell's images are class-conditional; use --adm"):
        run("export", cell_id(cell), "--geneval", tmp_path / "out", "--results", tmp_path / "results")
    assert not (tmp_path / "out").exists()


def test_prompts_at_random_are_refused(suite_file: Write, tmp_path: Path) -> None:
    """Image i shows prompt i mod P no longer, and folders would hold images of other prompts."""
    cell = drawn(suite_file, tmp_path / "results", RECORDS, labels="random")
    with pytest.raises(UserError, match="the cell chooses prompts at random"):
        api.export(cell_id(cell), results=tmp_path / "results", geneval=tmp_path / "out")


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"prompt": "a circle"}, "own: prompt 1: the tag is missing"),
        ({**RECORDS[0], "include": [{"class": "circle", "count": 1}]}, "own: prompt 1: unknown class 'circle'"),
        (
            RECORDS[0],
            "own: there are no prompts for two_object, counting, colors, position, color_attr, and GenEval is",
        ),
    ],
)
def test_records_that_genevals_evaluator_could_not_read_are_refused(
    suite_file: Write, tmp_path: Path, record: dict[str, Any], said: str
) -> None:
    cell = drawn(suite_file, tmp_path / "results", [record], samples=1)
    with pytest.raises(UserError, match=said):
        api.export(cell_id(cell), results=tmp_path / "results", geneval=tmp_path / "out")


def test_one_layout_is_written_at_a_time(tmp_path: Path) -> None:
    for both in ((), ("--adm", tmp_path / "x.npz", "--geneval", tmp_path / "out")):
        with pytest.raises(UserError, match="one layout is written at a time; give --adm FILE or --geneval FOLDER"):
            run("export", "0123", *both)
