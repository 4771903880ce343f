"""A shard that never ends: the process ends, says so, keeps what is finished, and the same command continues."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from sgbench.run.device import GPU_SECONDS, default_timeout


@pytest.mark.slow
def test_a_device_that_hangs_ends_the_process_and_costs_one_shard(processes: Any, tmp_path: Path) -> None:
    suite = processes.suite(48)
    process = processes.start("hang", "run", suite, "--shard-timeout", "3", "--results", tmp_path / "r")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert err.splitlines()[-1] == (
        "sgbench: fashion-tiny cfg w=1.5 1 steps: shard 0 was not finished in 3 seconds on cpu; check whether the "
        "device hangs, then repeat the command, which continues; or give --shard-timeout."
    )
    (path,) = (tmp_path / "r").rglob("failure.json")
    record = json.loads(path.read_text())
    assert record["reason"] == "shard 0 was not finished in 3 seconds on cpu"
    assert (record["settings"], record["shard"]) == ("fashion-tiny cfg w=1.5 1 steps", 0)
    done = processes.run("run", suite, "--shard-timeout", "60", "--results", tmp_path / "r")
    assert (done["images_made"], done["images_kept"], done["failed"]) == (120, 24, [])
    assert not list((tmp_path / "r").rglob("failure.json"))


def test_only_a_gpu_has_a_limit_of_its_own() -> None:
    assert default_timeout(torch.device("cpu")) is None
    assert default_timeout(torch.device("cuda", 1)) == GPU_SECONDS
