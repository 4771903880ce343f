"""Full disks and limits: one sentence with the bytes needed, what was finished stays, the same command continues."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sgbench.base import atomic
from sgbench.base.atomic import WriteError, is_left_over, refusal, temporary_name, write_atomic
from sgbench.cells.cell import Cell
from sgbench.guidance.settings import Guidance
from sgbench.results.store import Store
from sgbench.samplers.settings import Sampler

NONE = Cell("fashion-tiny", Guidance("none"), Sampler("euler", 1), 3, "balanced", "float32")


def limited(processes: Any, size: int, *arguments: str | Path) -> str:
    """What a command says last where no file may be larger than `size`; it has to fail with one sentence."""
    process = processes.start("plain", *arguments, largest=size)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert "Traceback" not in err
    return str(err.splitlines()[-1])


@pytest.mark.slow
def test_a_limit_on_the_size_of_files(processes: Any, tmp_path: Path) -> None:
    """Of every stage the largest files do not fit; without the limit the same commands continue."""
    suite, results = processes.suite(24), tmp_path / "r"
    said = limited(processes, 20_000, "run", suite, "--results", results)
    assert "shards/00000.npy: the file could not be written (File too large): 24,704 bytes are needed, " in said
    assert "; free disk space or fix the permissions, then repeat the command: all finished work is kept" in said
    assert not list(results.rglob(".*.tmp"))
    assert processes.run("run", suite, "--results", results)["images_made"] == 72
    said = limited(processes, 5_000, "score", suite, "--results", results)
    assert "features/fashion-cnn" in said
    assert "(File too large)" in said
    processes.run("score", suite, "--results", results)
    said = limited(processes, 50_000, "report", suite, "--results", results, "--reports", tmp_path / "p")
    assert "the report cannot be written there (File too large): " in said
    document = processes.run("report", suite, "--results", results, "--reports", tmp_path / "p")
    said = limited(processes, 20_000, "publish", "--reports", tmp_path / "p", "--output", tmp_path / "site")
    assert "the site cannot be written (File too large): " in said
    assert Path(document["page"]).is_file()
    cell = next(results.glob("s/cells/*"))
    said = limited(processes, 20_000, "export", cell, "--adm", tmp_path / "cell.npz")
    assert "the images could not be written (File too large): 73,728 bytes are needed, " in said
    assert not (tmp_path / "cell.npz").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1,000 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1000k", "sgbench-test", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"file systems cannot be mounted here ({done.stderr.strip()})")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk(processes: Any, tmp_path: Path, small_disk: Path) -> None:
    suite, results = processes.suite(240), ("--results", small_disk / "r")
    # More than there is room for is refused before the first image, with both numbers.
    process = processes.start("plain", "run", processes.suite(480), *results)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "the missing images take 1,474,560 bytes, and " in err.splitlines()[-1]
    assert not list(small_disk.rglob("*.npy"))
    # Images would fit, and do not with what stands beside them.
    process = processes.start("plain", "run", processes.suite(240), *results)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    last = err.splitlines()[-1]
    assert "could not be written (No space left on device): " in last
    assert " bytes are needed, " in last
    assert not list(small_disk.rglob(".*.tmp"))
    kept = 24 * sum("images" in json.loads(path.read_text()) for path in small_disk.rglob("shards/*.json"))
    assert kept > 0
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    document = processes.run("run", suite, *results)
    assert document["images_kept"] == kept
    processes.run("score", suite, *results)
    processes.run("run", suite, "--results", tmp_path / "whole")
    processes.run("score", suite, "--results", tmp_path / "whole")
    assert processes.tree(small_disk / "r") == processes.tree(tmp_path / "whole")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_where_room_is_the_matter_bytes_are_told(tmp_path: Path, number: int) -> None:
    error = WriteError(OSError(number, os.strerror(number)), tmp_path / "x", 1234)
    said = str(refusal(error, "it failed", where=tmp_path / "x", fix="make room"))
    assert f"it failed ({os.strerror(number)}): 1,234 bytes are needed, " in said
    assert said.endswith(" are free; make room.")


def test_other_refusals_tell_no_bytes(tmp_path: Path) -> None:
    with pytest.raises(WriteError) as caught:
        write_atomic(Path("/proc/none/x"), b"1")
    said = str(refusal(caught.value, "it failed", where=tmp_path, fix="mend it"))
    assert "bytes" not in said


def test_what_dead_writers_left_is_removed_and_what_others_write_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, "s")
    store.write_cell(NONE)
    target = store.cell_folder(NONE) / "shards" / "00000.npy"
    target.parent.mkdir()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()

    def left(process: int, host: str, seconds: float) -> Path:
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: process)
            patch.setattr(atomic, "HOST", host)
            path = temporary_name(target)
        path.write_bytes(b"")
        os.utime(path, (time.time() - seconds,) * 2)
        return path

    gone = [left(dead.pid, atomic.HOST, 100), left(dead.pid, "0" * 6, 100_000), left(os.getpid(), atomic.HOST, 100_000)]
    kept = [left(os.getpid(), atomic.HOST, 100), left(dead.pid, atomic.HOST, 0), left(dead.pid, "0" * 6, 100)]
    foreign = target.with_name(".notes.tmp")
    foreign.touch()
    assert [is_left_over(path) for path in gone] == [True] * 3
    store.remove_leftovers(NONE)
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in [*kept, foreign])
