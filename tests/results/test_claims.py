"""Claims: one holder at a time among threads and processes, and none once a holder is dead."""

from __future__ import annotations

import errno
import fcntl
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sgbench.results import claims as claims_module
from sgbench.results.claims import Claims, work_through

HOLDER = """
import sys, time
from pathlib import Path
from sgbench.results.claims import Claims
with Claims(Path(sys.argv[1])).held("a") as mine:
    print(mine, flush=True)
    time.sleep(3600)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the claim on `a`."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "True"
    return process


def is_held(claims: Claims, unit: str) -> bool:
    with claims.held(unit) as mine:
        return not mine


def test_a_claim_is_held_by_one_context_at_a_time(tmp_path: Path) -> None:
    first, second = Claims(tmp_path), Claims(tmp_path)
    with first.held("a") as mine:
        assert mine
        assert is_held(first, "a")
        assert is_held(second, "a")
        assert not is_held(second, "b")
    assert not is_held(second, "a")


def test_threads_keep_each_other_out(tmp_path: Path) -> None:
    found: list[bool] = []
    with Claims(tmp_path).held("a"):
        thread = threading.Thread(target=lambda: found.append(is_held(Claims(tmp_path), "a")))
        thread.start()
        thread.join()
    assert found == [True]


@pytest.mark.slow
def test_the_claim_of_a_process_ends_with_it(tmp_path: Path) -> None:
    process = holder(tmp_path)
    claims = Claims(tmp_path)
    assert is_held(claims, "a")
    assert not is_held(claims, "b")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not is_held(claims, "a")


@pytest.mark.slow
def test_a_tree_that_was_deleted_and_made_again_has_claims_of_its_own(tmp_path: Path) -> None:
    """The lock file of the old one is still open in this process."""
    Claims(tmp_path / "x")
    (tmp_path / "x" / ".claims").unlink()
    claims = Claims(tmp_path / "x")
    process = holder(tmp_path / "x")
    assert is_held(claims, "a")
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_what_others_hold_is_waited_for_and_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims_module, "FIRST_PAUSE", 0.001)
    process = holder(tmp_path)
    done: list[str] = []
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        process.kill()
        process.communicate()

    work_through(["a", "b"], lambda unit: unit, done.append, Claims(tmp_path), say)
    assert done == ["b", "a"]
    assert said == ["waiting for another process that works in this tree (1 parts are with it)"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_where_there_are_no_locks_work_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(number, "no locks")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    claims = Claims(tmp_path)
    with claims.held("a") as mine:
        assert mine
        assert is_held(claims, "a")  # Threads of one process still know of each other.
    said: list[str] = []
    done: list[str] = []
    for _ in range(2):
        work_through(["a"], lambda unit: unit, done.append, claims, said.append)
    assert done == ["a", "a"]
    assert len(said) == 1
    assert "has no locks" in said[0]
