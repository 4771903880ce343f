"""Kill `sgbench bench` at random moments and let the same command continue, many times over.

    python kill_anywhere.py FOLDER PART SEED      (FOLDER/s.yaml is the suite)

Everything is imported once; each attempt is a child of its own, forked before torch did any work. FOLDER/whole holds
what an uninterrupted bench makes, FOLDER/killed what is there after several kills and one attempt to the end. Kills
come in turn at a random time after a stage began and at a random moment of the writing of a file: half of it written,
not yet renamed, just renamed; an odd PART begins with the other kind. The clock and the memory meter always read the
same, so that all bytes can be compared. Prints a JSON list of the kills: whether in writing, and the stage it hit.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# All that a bench imports on its way, so that no attempt spends its time on it.
import matplotlib.backends.backend_pdf
import matplotlib.backends.backend_svg  # noqa: F401

sys.path.insert(0, str(Path(__file__).parents[2]))

from sgbench import api
from sgbench.base import atomic
from sgbench.cli import app
from sgbench.report import build
from sgbench.results import store
from sgbench.run import shards
from sgbench.score import rows, scorer  # noqa: F401
from tests import tiny_model

STAGES = ("run", "score", "rows", "report")
# What the kills are aimed at, one after another.
AIMS = ("run", "run", "score", "rows", "report")
OnStage = Callable[[str], None]


def attempt(folder: Path, on_stage: OnStage) -> int:
    """Run the command in a child; the status that it ended with, negative for a signal."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(folder)
    _tell_stages(on_stage)
    sys.argv = ["sgbench", "bench", "../s.yaml", "--results", "results", "--reports", "reports"]
    status = 1
    try:
        app.main()
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        os._exit(status)


def _tell_stages(on_stage: OnStage) -> None:
    """Call `on_stage` as each begins, and leave its name in the file `stage`."""

    def told(stage: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def begin(*arguments: Any, **named: Any) -> Any:
            Path("stage").write_text(stage)
            on_stage(stage)
            return real(*arguments, **named)

        return begin

    for name in ("run", "score", "report"):
        setattr(api, f"{name}_suite", told(name, getattr(api, f"{name}_suite")))
    rows.build_rows = told("rows", rows.build_rows)


def _each_moment_of_writing(moment: Callable[[int | None], None]) -> None:
    """Call `moment` at three moments of every file: with its descriptor before it is flushed, before and after the
    renaming."""
    flush, rename = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        moment(descriptor)
        flush(descriptor)

    def replace(self: Path, target: Path) -> Path:
        moment(None)
        done = rename(self, target)
        moment(None)
        return done

    os.fsync = fsync
    Path.replace = replace  # type: ignore[method-assign, assignment]


def measure(folder: Path) -> dict[str, tuple[float, int]]:
    """An uninterrupted bench: seconds and moments of writing by stage."""
    seen: list[tuple[str, float, int]] = []
    moments = 0

    def count(descriptor: int | None) -> None:
        nonlocal moments
        moments += 1
        Path("moments").write_text(str(moments))

    def on_stage(stage: str) -> None:
        if not seen:
            _each_moment_of_writing(count)
        seen.append((stage, time.monotonic(), moments))
        Path("stages.json").write_text(json.dumps(seen))

    folder.mkdir()
    assert attempt(folder, on_stage) == 0, (folder / "log").read_text()
    began = json.loads((folder / "stages.json").read_text())
    assert [stage for stage, _, _ in began] == list(STAGES)
    ends = [*began[1:], ("", time.monotonic(), int((folder / "moments").read_text()))]
    return {one[0]: (after[1] - one[1], after[2] - one[2]) for one, after in zip(began, ends, strict=True)}


def kill_at(aim: str, share: float, seconds: float, moments: int, in_writing: bool) -> OnStage:
    """Die by SIGKILL at a share of a stage: of its time, or of its moments of writing."""
    left = int(share * moments)

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def after_a_time() -> None:
        # Less than it took the first time, so that a machine that is faster now is not too fast.
        time.sleep(0.8 * share * seconds)
        die()

    def moment(descriptor: int | None) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            if descriptor is not None:
                os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            die()

    def on_stage(stage: str) -> None:
        if stage == aim and in_writing:
            _each_moment_of_writing(moment)
        elif stage == aim:
            threading.Thread(target=after_a_time, daemon=True).start()

    return on_stage


def main() -> None:
    folder, part, chance = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    store.SHARD = shards.SHARD = 24
    tiny_model.install()
    build.FORMATS = ("svg",)
    real = shards.timed
    shards.timed = lambda work, device: (real(work, device)[0], 0.5)
    shards.peak_bytes = lambda device: 2**20
    # Left over at once, not after a minute.
    atomic.DEAD_SECONDS = 0.0
    lengths = measure(folder / "whole")
    place = folder / "killed"
    place.mkdir()
    kills = []
    for number, aim in enumerate(AIMS, start=part):
        # Half of the images are there at the second aim, on average.
        share = chance.random() * (0.5 if aim == "run" and place.joinpath("stage").exists() else 1)
        status = attempt(place, kill_at(aim, share, *lengths[aim], in_writing=number % 2 == 1))
        assert status in (-signal.SIGKILL, 0), place.joinpath("log").read_text()
        if status:
            kills.append({"in_writing": number % 2 == 1, "stage": (place / "stage").read_text()})
    assert attempt(place, lambda stage: None) == 0, place.joinpath("log").read_text()
    print(json.dumps(kills))


if __name__ == "__main__":
    main()
