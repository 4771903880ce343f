"""Several processes on one results tree: they share the work, none of it is done twice, and none is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

TIMES = ["seconds_per_image", "seconds_q25", "seconds_q75", "images_per_second", "peak_mib"]


def rows(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "s" / "rows.csv", dtype=str).drop(columns=TIMES)


def test_processes_that_start_together_share_a_bench(processes: Any, tmp_path: Path) -> None:
    suite = processes.suite(240)
    shared = ("--json", "--results", tmp_path / "shared", "--reports", tmp_path / "reports")
    started = [processes.start("gate", "bench", suite, *shared) for _ in range(2)]
    processes.until(lambda: len(list(tmp_path.glob("ready-*"))) == 2)
    (tmp_path / "go").touch()
    done = [processes.document(process) for process in started]
    # Ten shards of three cells, each made by one of them; every cell scored by one of them.
    assert sum(one["run"]["images_made"] for one in done) == 720
    assert all(one["run"]["images_made"] + one["run"]["images_kept"] == 720 for one in done)
    assert all(one["run"]["images_made"] > 0 for one in done)
    assert sum(one["score"]["scored"] for one in done) == 3
    processes.run("run", suite, "--results", tmp_path / "alone")
    processes.run("score", suite, "--results", tmp_path / "alone")
    assert processes.tree(tmp_path / "shared") == processes.tree(tmp_path / "alone")
    pd.testing.assert_frame_equal(rows(tmp_path / "shared"), rows(tmp_path / "alone"))
    assert not list((tmp_path / "shared").rglob(".*.tmp"))


def test_what_a_killed_process_held_is_taken_over(processes: Any, tmp_path: Path) -> None:
    suite = processes.suite(96)
    shared = ("--json", "--results", tmp_path / "shared")
    dying = processes.start("hang", "run", suite, *shared)
    processes.until((tmp_path / "hanging").exists)
    heir = processes.start("plain", "run", suite, *shared)
    # It does all the rest, then waits for the one shard that is held.
    waits = "waiting for another process that works in this tree (1 parts are with it)"
    processes.until(lambda: waits in heir.told())
    assert heir.poll() is None
    dying.kill()
    document = processes.document(heir)
    assert (document["images_made"], document["images_kept"]) == (264, 24)
    processes.run("run", suite, "--results", tmp_path / "alone")
    assert processes.tree(tmp_path / "shared") == processes.tree(tmp_path / "alone")


def test_three_processes_make_every_shard_once(processes: Any, tmp_path: Path) -> None:
    """A shard that was made twice or completed later would have more batches, or other numbers of images."""
    suite = processes.suite(120)
    started = [processes.start("gate", "run", suite, "--json", "--results", tmp_path / "r") for _ in range(3)]
    processes.until(lambda: len(list(tmp_path.glob("ready-*"))) == 3)
    (tmp_path / "go").touch()
    assert sum(processes.document(process)["images_made"] for process in started) == 360
    notes = [json.loads(path.read_text()) for path in (tmp_path / "r").rglob("shards/*.json")]
    assert [[batch["images"] for batch in note["batches"]] for note in notes] == [[24]] * 15
