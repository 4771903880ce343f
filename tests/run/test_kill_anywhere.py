"""Killed at any moment, a bench continues to the same bytes.

Fifty kills in ten seeded parts, of which `make test` does the first.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import tiny_model
from tests.parts import parts
from tests.warm import Warm

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parent / "kill_anywhere.py"
PARTS, KILLS, SEED = 10, 5, 20260
# Beside the tree, not of it: locks, what this test notes.
OURS = (".claims", "log", "moments", "stage", "stages.json")


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but those."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in OURS)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@parts(PARTS)
def test_kills_leave_no_trace(part: int, processes: Any, tmp_path: Path, drawn: Callable[[str, int], None]) -> None:
    """Images, features, scores, rows and report are those of an uninterrupted run, byte for byte."""
    processes.suite(72)
    command = [sys.executable, str(SCRIPT), str(tmp_path), str(part), str(SEED + part)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kills = json.loads(done.stdout.splitlines()[-1])
    drawn("kills", len(kills))
    # One that comes at a time may come after the end.
    assert len(kills) >= KILLS - 1, kills
    assert sum(kill["in_writing"] for kill in kills) == 2 + part % 2, kills
    assert len({kill["stage"] for kill in kills}) >= 3, kills
    whole = files(tmp_path / "whole")
    assert {"results/s/rows.csv", "reports/s/index.html"} <= set(whole)
    assert sum(name.endswith(".npy") for name in whole) == 9
    found = files(tmp_path / "killed")
    assert set(found) == set(whole)
    assert [name for name in whole if found[name] != whole[name]] == []


@pytest.mark.full
@pytest.mark.parametrize("seed", [1, 2])
def test_the_command_itself_is_killed_and_continues(processes: Any, tmp_path: Path, seed: int) -> None:
    """The same with the real clock: images, features and scores."""
    suite = processes.suite(72)
    chance = random.Random(seed)
    command = (tiny_model.__file__, "bench", suite, "--json")
    folders = ("--results", tmp_path / "r", "--reports", tmp_path / "p")
    for _ in range(2):
        process = Warm(*command, *folders)
        processes.until((tmp_path / "r" / "s" / "suite.lock.yaml").exists)
        time.sleep(1.5 * chance.random())
        process.send_signal(signal.SIGKILL)
        process.wait()
    document = processes.document(Warm(*command, *folders))
    assert document["run"]["images_made"] + document["run"]["images_kept"] == 216
    folders = ("--results", tmp_path / "whole", "--reports", tmp_path / "whole-p")
    processes.document(Warm(*command, *folders))
    assert processes.tree(tmp_path / "r") == processes.tree(tmp_path / "whole")
    scores = [sorted((tmp_path / name).rglob("scores.json")) for name in ("r", "whole")]
    assert [path.read_bytes() for path in scores[0]] == [path.read_bytes() for path in scores[1]]
