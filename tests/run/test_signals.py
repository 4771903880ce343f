"""SIGINT and SIGTERM: finished batches are kept, the last line says what is there, the status says which signal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sgbench.base.signals import SAME_SECONDS
from tests import tiny_model
from tests.warm import Warm

pytestmark = pytest.mark.slow

# Stands in C code that does not come back to Python, as a hung kernel does; and lets the first signal be lost.
DEAF = """
import ctypes, signal, sys
from sgbench.base.signals import install
install()
libc, told = ctypes.CDLL(None), False
while True:
    try:
        if not told:
            told = True
            print("ready", flush=True)
        while True:
            libc.sleep(60)
    except BaseException:
        pass
"""


def shards(folder: Path) -> int:
    return len(list(folder.rglob("shards/*.json")))


@pytest.mark.parametrize(
    ("number", "status", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
@pytest.mark.parametrize("verb", ["run", "bench"])
def test_a_signal_ends_work_in_order(
    processes: Any, tmp_path: Path, number: int, status: int, word: str, verb: str
) -> None:
    suite = processes.suite(2400)
    results = ("--results", tmp_path / "r", *(("--reports", tmp_path / "p") if verb == "bench" else ()))
    process = processes.start("slow", verb, suite, "--json", *results)
    processes.until(lambda: shards(tmp_path / "r") > 2)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == status, err
    assert "Traceback" not in err
    said = json.loads(out.splitlines()[-1])
    assert said["stopped"] == word
    assert (said["images"], said["cells"], said["cells_scored"]) == (7200, 3, 0)
    assert said["images_kept"] == 24 * shards(tmp_path / "r")
    assert err.splitlines()[-1] == (
        f"sgbench: {word}: {said['images_kept']} of 7200 images are there, 0 of 3 cells have scores; "
        "all that was finished is kept, and the same command continues"
    )
    assert not list((tmp_path / "r").rglob(".*.tmp"))


def test_finished_batches_of_a_shard_are_kept(processes: Any, tmp_path: Path) -> None:
    """Whole shards of 240 images, of which the signal meets the first."""
    suite = processes.suite(240)
    command = ("run", suite, "--results", tmp_path / "r", "--json")
    process = processes.start("batches", *command)
    processes.until((tmp_path / "drawn").exists)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    document = json.loads(out.splitlines()[-1])
    assert 0 < document["images_kept"] < 240
    resumed = processes.document(Warm(tiny_model.__file__, *command))
    assert resumed["images_kept"] == document["images_kept"]
    assert resumed["images_made"] + resumed["images_kept"] == 720


def test_scoring_is_stopped_and_continues(processes: Any, tmp_path: Path) -> None:
    suite = processes.suite(240)
    # Neighbours among the reference take a while.
    suite.write_text(suite.read_text().replace("label_agreement", "precision"))
    processes.run("run", suite, "--results", tmp_path / "r")
    process = processes.start("plain", "score", suite, "--results", tmp_path / "r")
    processes.until(lambda: list((tmp_path / "r").rglob("scores.json")) or list((tmp_path / "r").rglob("*.npz")))
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert "720 of 720 images are there" in err.splitlines()[-1]
    processes.run("score", suite, "--results", tmp_path / "r")
    processes.run("run", suite, "--results", tmp_path / "whole")
    processes.run("score", suite, "--results", tmp_path / "whole")
    assert processes.tree(tmp_path / "r") == processes.tree(tmp_path / "whole")


def test_a_second_signal_ends_at_once_whatever_the_process_is_in() -> None:
    with subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        # Two within a moment are one: `timeout` sends a signal to the process and to its group.
        time.sleep(SAME_SECONDS + 0.2)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 143


def test_a_signal_that_the_parent_ignored_stays_ignored() -> None:
    code = (
        "import os, signal; signal.signal(signal.SIGINT, signal.SIG_IGN); from sgbench.base.signals import install; "
        "install(); os.kill(os.getpid(), signal.SIGINT); print('on')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "on\n"


def test_a_signal_whose_exception_was_lost_is_met_at_the_next_batch() -> None:
    code = (
        "import os, signal; from sgbench.base.signals import Interruption, install, stop_if_asked; install()\n"
        "class Finaliser:\n    def __del__(self): os.kill(os.getpid(), signal.SIGTERM)\n"
        "Finaliser()\n"
        "try: stop_if_asked()\n"
        "except Interruption as stop: print(stop.status)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "143\n"
