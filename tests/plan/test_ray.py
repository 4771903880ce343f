"""Wall time on many workers, against numbers worked out by hand."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from sgbench import api
from sgbench.base.errors import UserError
from sgbench.cli import app
from sgbench.plan.plan import GPU_RATE, LOAD_SECONDS, Forecast, Plan, PlannedCell, forecast
from sgbench.suite.sweep import expand


def planned(suite_file: Callable[..., Path], *cells: tuple[float, int, int]) -> Plan:
    """A plan of cells with GMACs per image, images, and images that are there."""
    suite = api.load_suite(suite_file())
    cell = expand(suite)[0]
    found = [PlannedCell("", cell, gmacs, gmacs, gmacs, images, kept) for gmacs, images, kept in cells]
    return Plan(suite, found, 0.0, 40.0, "measured", 2)


def test_by_hand(suite_file: Callable[..., Path]) -> None:
    # GPU_RATE is 62,400 GMACs a second: an image of 62,400 GMACs takes a second.
    plan = planned(suite_file, (62_400.0, 1000, 0), (31_200.0, 480, 300), (62_400.0, 240, 240))
    eight = forecast(plan, 8)
    # 1000 images are 5 shards, of which the longest take 240 s; of 480 images the last 180 are missing, 0.5 s each.
    assert (eight.shards, eight.models) == (6, 1)
    assert eight.work_seconds == pytest.approx(1090)
    assert eight.longest_seconds == pytest.approx(240)
    assert eight.at_least == pytest.approx(240 + 30)
    assert eight.at_most == pytest.approx(1090 / 8 + 7 / 8 * 240 + 30)
    one = forecast(plan, 1)
    assert one.at_least == one.at_most == pytest.approx(plan.gpu_hours * 3600 + LOAD_SECONDS)
    assert GPU_RATE == 62_400


def test_a_shard_of_which_a_part_is_there(suite_file: Callable[..., Path]) -> None:
    # 100 of 600 images: 140, 240 and 120 are missing. 380 of 600: 100 and 120.
    assert forecast(planned(suite_file, (62_400.0, 600, 100)), 4).longest_seconds == pytest.approx(240)
    assert forecast(planned(suite_file, (62_400.0, 600, 380)), 4).longest_seconds == pytest.approx(120)
    assert forecast(planned(suite_file, (62_400.0, 600, 380)), 4).shards == 2


def test_without_gpus_it_is_the_cores_of_this_machine(
    suite_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sgbench.plan.plan.usable_cores", lambda: 4)
    found = forecast(planned(suite_file, (20.0, 480, 0)), None)
    # Two threads made 40 GMACs a second, so one worker needs 1 s an image.
    assert (found.workers, found.kind, found.work_seconds) == (4, "CPU", pytest.approx(480))


def test_nothing_left_takes_no_time(suite_file: Callable[..., Path]) -> None:
    done = forecast(planned(suite_file, (20.0, 480, 480)), 8)
    assert (done.shards, done.at_least, done.at_most) == (0, 0, 0)


@pytest.mark.parametrize("seed", range(20))
def test_handing_out_shards_ends_between_the_bounds(seed: int) -> None:
    """A worker that is free takes the next shard, in whatever order they come."""
    draw = random.Random(seed)
    shards = [draw.uniform(1, 100) for _ in range(draw.randint(1, 60))]
    workers = [LOAD_SECONDS] * draw.randint(1, 12)
    for shard in shards:
        free = workers.index(min(workers))
        workers[free] += shard
    bounds = Forecast(len(workers), "GPU", "", len(shards), 1, sum(shards), max(shards))
    assert bounds.at_least <= max(workers) + 1e-9
    assert max(workers) <= bounds.at_most + 1e-9


@pytest.mark.slow
def test_the_command_tells_it(
    suite_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["plan", str(suite_file()), "--results", str(tmp_path / "r")]
    app.app([*arguments, "--engine", "ray", "--gpus", "8", "--json"], standalone_mode=False)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])["ray"]
    assert (told["workers"], told["kind"], told["shards"]) == (8, "GPU", 3)
    assert told["seconds_at_least"] <= told["seconds_at_most"]
    app.app([*arguments, "--engine", "ray", "--gpus", "8"], standalone_mode=False)
    assert "on 8 workers of one GPU each: 0.5 minutes to 0.5 minutes for 3 shards" in capsys.readouterr().out
    app.app([*arguments, "--json"], standalone_mode=False)
    assert "ray" not in json.loads(capsys.readouterr().out)
    with pytest.raises(UserError, match=r"--gpus: this option needs the engine ray; add --engine ray"):
        app.app([*arguments, "--gpus", "8"], standalone_mode=False)
