"""The runner: what is there is kept, what is damaged is made again, and images are the same either way."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from sgbench.base.errors import UserError
from sgbench.base.progress import Silent
from sgbench.cells.cell import Cell
from sgbench.cells.closed_form import call_macs
from sgbench.guidance.settings import Guidance
from sgbench.models import catalogue
from sgbench.results.store import SHARD, Store
from sgbench.run.device import resolve_device
from sgbench.run.finalize import gallery_png
from sgbench.run.runner import run_cells
from sgbench.samplers.settings import Sampler
from tests import tiny_model, warm
from tests.stored import stored_images
from tests.warm import Warm

WORKER = Path(__file__).parent / "worker.py"

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
CFG = Cell("fashion-tiny", Guidance("cfg", 1.5, 0.0, 0.0), Sampler("euler", 2), 3, "balanced", "float32")
KILLED = """
suite: s
title: s
seed: 3
samples: {samples}
reference: fashion-mnist
metrics: [fd]
model: fashion-tiny
sampler: {{name: euler, steps: 1}}
sweep: [{{guidance: none}}]
"""
SG = CFG._replace(guidance=Guidance("sg", 2.0, 0.0, 0.7))


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sgbench.results.store.SHARD", 8)
    monkeypatch.setattr("sgbench.run.shards.SHARD", 8)


def run(root: Path, samples: int, batch: int = 5, cells: tuple[Cell, ...] = (CFG,)) -> tuple[int, int, Store]:
    store = Store(root, "s")
    done = run_cells(cells, samples, store, CPU, Silent(), batch)
    return done.images_made, done.images_kept, store


def images(store: Store, samples: int, cell: Cell = CFG) -> np.ndarray:
    return stored_images(store, cell, samples)


def test_batch_size_does_not_change_the_images(tmp_path: Path) -> None:
    first, second = run(tmp_path / "a", 20, batch=3)[2], run(tmp_path / "b", 20, batch=20)[2]
    assert np.array_equal(images(first, 20), images(second, 20))


def test_a_smaller_run_is_a_prefix_and_is_extended(tmp_path: Path) -> None:
    assert run(tmp_path / "a", 11)[:2] == (11, 0)
    assert run(tmp_path / "a", 20)[:2] == (9, 11)
    made, kept, store = run(tmp_path / "b", 20)
    assert (made, kept) == (20, 0)
    assert np.array_equal(images(store, 20), images(Store(tmp_path / "a", "s"), 20))
    assert run(tmp_path / "b", 11)[:2] == (0, 11)


def test_a_second_run_does_nothing(tmp_path: Path) -> None:
    _, _, store = run(tmp_path, 20, cells=(CFG, SG))
    stamps = {p: p.stat().st_mtime_ns for p in store.folder.rglob("*") if p.is_file()}
    assert run(tmp_path, 20, cells=(CFG, SG))[:2] == (0, 40)
    assert {p: p.stat().st_mtime_ns for p in store.folder.rglob("*") if p.is_file()} == stamps


def test_cells_take_turns_so_that_an_interrupted_run_leaves_them_level(tmp_path: Path) -> None:
    class StopsAt(Silent):
        done = 0

        def advance(self, amount: int, note: str) -> None:
            self.done += amount
            if self.done >= 28:
                raise KeyboardInterrupt

    store = Store(tmp_path, "s")
    with pytest.raises(KeyboardInterrupt):
        run_cells((CFG, SG), 20, store, CPU, StopsAt(), 5)
    # The batch that was just finished is kept, too.
    assert [store.noted_images(cell, 20) for cell in (CFG, SG)] == [16, 16]
    assert run(tmp_path, 20, cells=(CFG, SG))[:2] == (8, 32)


@pytest.mark.parametrize("damage", ["flip", "truncate", "no sidecar", "bad sidecar", "delete"])
def test_a_damaged_shard_is_made_again(tmp_path: Path, damage: str) -> None:
    _, _, store = run(tmp_path, 20)
    before = images(store, 20)
    shard = next(store.folder.rglob("00001.npy"))
    if damage == "flip":
        payload = bytearray(shard.read_bytes())
        payload[-100] ^= 1
        shard.write_bytes(payload)
    elif damage == "truncate":
        shard.write_bytes(shard.read_bytes()[:-1])
    elif damage == "no sidecar":
        shard.with_suffix(".json").unlink()
    elif damage == "bad sidecar":
        shard.with_suffix(".json").write_text("{")
    else:
        shard.unlink()
    assert any(store.read_shard(CFG, number) is None for number in range(3))
    assert run(tmp_path, 20)[:2] == (8, 12)
    assert np.array_equal(images(store, 20), before)


def test_cost_is_counted_by_fvcore_and_equals_the_closed_form(tmp_path: Path) -> None:
    cost = run(tmp_path, 20, cells=(SG,))[2].read_record(SG, "cost")
    assert cost is not None
    architecture = catalogue.entry("fashion-tiny").architecture
    expected = 2 * (call_macs(architecture, 0).macs + call_macs(architecture, 0.7).macs)
    assert cost["macs_per_image"] == expected == cost["closed_form_macs_per_image"]
    assert [b["kept_tokens"] for b in cost["branches"]] == [64, 20]
    assert cost["measured"]["seconds_per_image"]["median"] > 0
    assert cost["measured"]["device"]["threads"] == torch.get_num_threads()


def test_nothing_is_left_under_a_temporary_name(tmp_path: Path) -> None:
    _, _, store = run(tmp_path, 20)
    assert not [p for p in store.folder.rglob("*") if p.name.endswith(".tmp")]


def test_a_killed_run_continues_to_the_same_images(tmp_path: Path) -> None:
    """SIGKILL in the middle, the same command again, and the images equal an uninterrupted run's."""
    suite = tmp_path / "s.yaml"
    suite.write_text(KILLED.format(samples=4 * SHARD))
    options = ("run", suite, "--json", "--batch", "50", "--results")
    command = (tiny_model.__file__, *options)
    process = Warm(WORKER, "batches", tmp_path, *options, tmp_path / "killed")
    deadline = time.monotonic() + 60
    while not list((tmp_path / "killed").rglob("00000.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    resumed = warm.run(*command, tmp_path / "killed", check=True)
    document = json.loads(resumed.stdout.splitlines()[-1])
    assert document["images_kept"] >= SHARD
    assert document["images_made"] > 0
    assert document["images_made"] + document["images_kept"] == 4 * SHARD
    warm.run(*command, tmp_path / "whole", check=True)
    shards = [sorted((tmp_path / name).rglob("*.npy")) for name in ("killed", "whole")]
    assert len(shards[0]) == len(shards[1]) == 4
    assert [p.read_bytes() for p in shards[0]] == [p.read_bytes() for p in shards[1]]


def test_interruption_says_what_is_kept(tmp_path: Path) -> None:
    suite = tmp_path / "s.yaml"
    suite.write_text(KILLED.format(samples=50_000))
    process = Warm(tiny_model.__file__, "run", suite, "--results", tmp_path / "r")
    deadline = time.monotonic() + 60
    while not list((tmp_path / "r").rglob("00000.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1].endswith("all that was finished is kept, and the same command continues")
    assert "Traceback" not in errors


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="results cannot be written there"):
        Store(tmp_path, "s").prepare()
    tmp_path.chmod(0o700)


def test_a_results_path_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError, match=r"file/s: results cannot be written there .*; choose another folder with --results"
    ):
        Store(tmp_path / "file", "s").prepare()


def test_devices_that_are_not_there_are_named() -> None:
    with pytest.raises(UserError, match="--device: there is no device called 'gpu'"):
        resolve_device("gpu")
    with pytest.raises(UserError, match="torch sees"):
        resolve_device("cuda:99")
    assert resolve_device("cpu") == CPU


def test_gallery_holds_the_first_twenty_images_in_two_rows() -> None:
    import io

    from PIL import Image

    sheet = np.arange(25, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), dtype=np.uint8)
    picture = np.asarray(Image.open(io.BytesIO(gallery_png(sheet))))
    assert picture.shape == (8, 40)
    assert picture[0, ::4].tolist() == list(range(10))
    assert picture[4, ::4].tolist() == list(range(10, 20))
