"""`sgbench run --engine ray` as a process: signals, a driver that is killed, ports, addresses that are no cluster."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sgbench import api
from sgbench.base.errors import UserError
from sgbench.results.store import Store
from sgbench.run import ray_cluster
from sgbench.run.engines import Ray
from sgbench.run.ray_cluster import connected
from sgbench.suite.sweep import expand
from tests import tiny_model, warm

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SUITE = """
suite: s
title: s
seed: 3
samples: 288
metrics: []
model: fashion-routing
sampler: {name: euler, steps: 2}
sweep: [{guidance: none}, {guidance: cfg, scale: 2}]
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "s.yaml"
    path.write_text(SUITE)
    return path


@pytest.fixture
def start(suite: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts a run in a group of its own."""
    started: list[subprocess.Popen[str]] = []

    def begin(*options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "sgbench", "run", str(suite), "--device", "cpu", *options]
        process = subprocess.Popen(
            [*command, "--results", str(tmp_path / "r")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            process_group=0,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def until(condition: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def working(own: Any) -> list[int]:
    """All but Ray's agents, which look for their node once in a while and need a minute to miss it."""
    return [process for process, name in own.names().items() if not name.startswith(("ray::Dash", "ray::RuntimeEnv"))]


def images(results: Path) -> dict[str, bytes]:
    return {str(path.relative_to(results)): path.read_bytes() for path in sorted(results.rglob("*.npy"))}


@pytest.mark.parametrize("by_ray", [False, pytest.param(True, marks=pytest.mark.full)])
def test_a_driver_that_is_killed_takes_its_cluster_along_and_is_continued(
    by_ray: bool, start: Start, below: Any, suite: Path, tmp_path: Path
) -> None:
    """By one process, or by Ray again."""
    suite.write_text(SUITE.replace("steps: 2", "steps: 1"))
    driver = start("--engine", "ray")
    own = below(driver.pid)
    until(own.at_work)
    listened = own.listens_on()
    assert listened
    loopback = [ipaddress.ip_address(address.removeprefix("::ffff:")).is_loopback for address in listened]
    assert all(loopback), listened
    assert not [
        name for name in own.names().values() if "/dashboard/dashboard.py" in name and "--modules-to-load" not in name
    ]
    until(lambda: list(tmp_path.rglob("*.npy")) and own.at_work())
    workers = working(own)
    driver.kill()
    until(lambda: not [worker for worker in workers if Path(f"/proc/{worker}/exe").exists()])
    if by_ray:
        again = start("--engine", "ray")
        _, err = again.communicate(timeout=180)
        assert again.returncode == 0, err
    else:
        warm.run(tiny_model.__file__, "run", suite, "--results", tmp_path / "r", check=True)
    warm.run(tiny_model.__file__, "run", suite, "--results", tmp_path / "alone", check=True)
    assert images(tmp_path / "r") == images(tmp_path / "alone")


@pytest.mark.parametrize(
    ("number", "to_group", "status", "word"),
    [
        (signal.SIGINT, True, 130, "interrupted"),
        pytest.param(signal.SIGTERM, False, 143, "terminated", marks=pytest.mark.full),
    ],
)
def test_a_signal_ends_the_run_and_keeps_finished_batches(
    start: Start, suite: Path, below: Any, tmp_path: Path, number: int, to_group: bool, status: int, word: str
) -> None:
    """SIGINT as a terminal sends it, to all of the driver's group; SIGTERM as a batch system does, to the driver."""
    driver = start("--engine", "ray")
    own = below(driver.pid)
    until(lambda: list(tmp_path.rglob("*.npy")) and own.at_work())
    workers = working(own)
    os.killpg(driver.pid, number) if to_group else driver.send_signal(number)
    _, err = driver.communicate(timeout=90)
    assert driver.returncode == status, err
    cells = expand(api.load_suite(suite))
    there = sum(Store(tmp_path / "r", "s").noted_images(cell, 288) for cell in cells)
    assert err.splitlines()[-1] == (
        f"sgbench: {word}: {there} of 576 images are there, 0 of 2 cells have scores; "
        "all that was finished is kept, and the same command continues"
    )
    assert 0 < there < 576
    assert all(np.load(path).ndim == 4 for path in (tmp_path / "r").rglob("*.npy"))
    assert not list((tmp_path / "r").rglob(".*.tmp"))
    until(lambda: not [worker for worker in workers if Path(f"/proc/{worker}/exe").exists()])


def test_what_listens_and_is_no_cluster_is_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "PROBE_SECONDS", 4.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with (
            pytest.raises(UserError, match=r"no Ray cluster answered within 4 seconds; start one with `ray start"),
            connected(Ray(address), "cpu"),
        ):
            pass


def test_no_cluster_on_this_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray_cluster, "PROBE_SECONDS", 6.0)
    # Ray finds a cluster by its processes; agents of one that just ended live for a minute, and answer nothing.
    said = r"Ray cannot connect \(Could not find any running Ray|no Ray cluster answered within 6 seconds"
    with (
        pytest.raises(UserError, match=rf"--address auto: ({said})"),
        connected(Ray("auto"), "cpu"),
    ):
        pass
