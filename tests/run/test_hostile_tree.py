"""Results that somebody else wrote: links that lead away, records that hold anything. No traceback, nothing outside."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sgbench.api import load_suite, make_plan, publish
from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id
from sgbench.compare.comparison import compare
from sgbench.files.headers import shapes
from sgbench.report.site.build import read_entry
from sgbench.results.find_cell import find_cell, open_cell
from sgbench.results.store import Store
from sgbench.results.verified_files import record_bytes
from sgbench.score.rows import build_rows
from sgbench.suite.sweep import expand
from tests.parts import parts

# Records that are garbled in each of ten seeded parts.
GARBLED, PARTS = 30, 10
ODD: list[Any] = [
    *(None, True, 0, -1, 1.5, 1e308, float("nan"), 10**30, "", "x", "../x", "/etc/passwd", "\0", "\ud800", "a" * 5000),
    *([], {}, [1], {"a": 1}, "inf", "cfg", "dit-xl-256", "sit XL/2 256 weights=/dev/zero"),
]


@pytest.fixture
def cell(suite_file: Callable[..., Path]) -> Cell:
    return expand(load_suite(suite_file()))[0]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(item, (*path, key))


def garbled(document: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """A copy with one value gone or replaced."""
    document = copy.deepcopy(document)
    *way, last = chance.choice(list(places(document))[1:])
    parent: Any = document
    for key in way:
        parent = parent[key]
    if chance.random() < 0.2:
        del parent[last]
    else:
        parent[last] = copy.deepcopy(chance.choice(ODD))
    return document


def test_a_link_does_not_lead_writing_out_of_the_tree(cell: Cell, tmp_path: Path) -> None:
    store, outside = Store(tmp_path / "results", "tiny"), tmp_path / "outside"
    outside.mkdir()
    folder = store.cell_folder(cell)
    folder.mkdir(parents=True)
    (folder / "shards").symlink_to(outside)
    with pytest.raises(UserError, match="a link leads out of the results tree"):
        store.write_shard(cell, 0, np.zeros((1, 4, 4, 1), np.uint8), {})
    (folder / "cell.json").symlink_to(outside / "cell.json")
    store.write_cell(cell)
    assert not (folder / "cell.json").is_symlink()
    assert list(outside.iterdir()) == []


def test_the_whole_tree_may_be_a_link(cell: Cell, tmp_path: Path) -> None:
    (tmp_path / "large-disk").mkdir()
    (tmp_path / "results").symlink_to(tmp_path / "large-disk")
    Store(tmp_path / "results", "tiny").write_cell(cell)
    assert len(list((tmp_path / "large-disk").rglob("cell.json"))) == 1


@pytest.mark.parametrize("name", ["..", "../..", "/", "*", "a/../b", "?", "[a]", "\0", "x" * 5_000, "-"])
def test_names_of_cells_do_not_lead_away(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no cell"):
        find_cell(name, tmp_path)
    with pytest.raises(UserError):
        compare(name, name, None, tmp_path, True)


@pytest.mark.slow
@parts(PARTS)
def test_garbled_records_of_a_cell(
    part: int, cell: Cell, suite_file: Callable[..., Path], tmp_path: Path, drawn: Callable[[str, int], None]
) -> None:
    suite = load_suite(suite_file())
    store = Store(tmp_path / "results", suite.suite)
    store.write_cell(cell)
    store.write_shard(cell, 0, np.zeros((20, 4, 4, 1), np.uint8), {"seconds": 1.0})
    device = {"name": "cpu", "threads": 1}
    quartiles = {"median": 0.1, "lower_quartile": 0.1, "upper_quartile": 0.1}
    measured = {"device": device, "seconds_per_image": quartiles, "images_per_second": 1.0, "batch": 1}
    made_by = {"sgbench": "0", "commit": "0", "dirty": False, "torch": "2"}
    branches = [{"kept_tokens": 64, "grid_tokens": 64}]
    cost = {"macs_per_image": 1, "paper_per_image": 1, "made_by": made_by, "branches": branches}
    cost["measured"] = {**measured, "peak_bytes": None, "joules_per_image": None, "other_devices": 0}
    score = {"value": 1.0, "standard_error": 0.1, "corrected": 1.0, "replicates": [1.0, 1.1], "protocol_id": "p"}
    store.write_record(cell, "cost", cost)
    store.write_record(cell, "scores", {"20": {"images_sha256": "0", "fd": score}})
    assert len(build_rows([cell], store)) == 1
    folder, chance = store.cell_folder(cell), random.Random(part)
    refused = 0
    for _ in range(GARBLED):
        path = folder / chance.choice(["cell.json", "cost.json", "scores.json", "shards/00000.json"])
        whole = path.read_bytes()
        document = garbled({k: v for k, v in json.loads(whole).items() if k != "record_sha256"}, chance)
        # With a digest of its own, as somebody who means harm would write it, and without.
        path.write_bytes(record_bytes(document) if chance.random() < 0.7 else json.dumps(document).encode())
        found = Store(tmp_path / "results", suite.suite)
        found.known_cells()
        found.read_shard(cell, 0)
        build_rows([cell], found)
        make_plan(suite, tmp_path / "results")
        for reader in (open_cell, lambda place: find_cell(cell_id(cell), place.parents[2])):
            try:
                reader(folder)
            except UserError:
                refused += 1
        path.write_bytes(whole)
    drawn("records of cells", GARBLED)
    assert 0 < refused < 2 * GARBLED


@pytest.mark.slow
@parts(PARTS)
def test_garbled_records_of_a_report(part: int, tmp_path: Path, drawn: Callable[[str, int], None]) -> None:
    whole = {
        "suite": "a",
        "title": "t",
        "headline": ["x"],
        "cells": 1,
        "files": ["index.html", "report.json", "a/b.png"],
    }
    folder, chance = tmp_path / "reports" / "a", random.Random(part)
    (folder / "a").mkdir(parents=True)
    for name in whole["files"]:  # type: ignore[attr-defined]
        (folder / name).write_text("x")
    for _ in range(GARBLED):
        (folder / "report.json").write_text(json.dumps(garbled(whole, chance)))
        try:
            entry = read_entry(folder)
        except UserError as error:
            assert str(error).isprintable()  # noqa: PT017
        else:
            assert all((folder / name).resolve().is_relative_to(folder) for name in entry.files)
    drawn("records of reports", GARBLED)


def test_a_report_cannot_publish_files_of_others(tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "a"
    folder.mkdir(parents=True)
    (tmp_path / "secret").write_text("s")
    (folder / "index.html").symlink_to(tmp_path / "secret")
    record = {"suite": "a", "title": "t", "headline": [], "files": ["index.html"]}
    (folder / "report.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="lists files outside of the report"):
        publish(tmp_path / "reports", tmp_path / "site")


@pytest.mark.parametrize(
    "content",
    [b"\xff" * 8, b"\x00" * 8, (10**8).to_bytes(8, "little") + b"{", (9).to_bytes(8, "little") + b'{"a": []}'],
)
def test_hostile_headers_of_weights(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    assert shapes(tmp_path / "a.safetensors") == {}
    deep = b'{"a":' + b"[" * 100_000
    (tmp_path / "b.safetensors").write_bytes(len(deep).to_bytes(8, "little") + deep)
    assert shapes(tmp_path / "b.safetensors") == {}
