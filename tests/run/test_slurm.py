"""The script for Slurm, run with real Ray and a stand-in for Slurm: commands that run here what they are given."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from sgbench.cli import app

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SCRIPT = Path(__file__).parents[2] / "docs" / "slurm" / "sgbench.sbatch"
PAGE = SCRIPT.parents[1] / "many-machines.md"
SUITE = """
suite: s
title: s
seed: 3
samples: {samples}
metrics: []
model: fashion-routing
sampler: {{name: euler, steps: 3}}
sweep: [{{guidance: none}}]
"""
STAND_INS = {
    # Options first, then the command.
    "srun": 'while [ "${1#-}" != "$1" ]; do shift; done\nexec "$@"',
    "hostname": "echo 127.0.0.1",
    "scontrol": 'if [ "$1" = requeue ]; then echo "requeue $2" > "$FOLDER/requeued"; else echo one; fi',
    "sgbench": f'exec {sys.executable} -m sgbench "$@"',
    "ray": f'exec {sys.executable} -m ray.scripts.scripts "$@"',
}


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Any]:
    """Starts the script as the job of a node without GPUs."""
    for name, body in STAND_INS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    started: list[subprocess.Popen[str]] = []

    def start(samples: int) -> subprocess.Popen[str]:
        (tmp_path / "s.yaml").write_text(SUITE.format(samples=samples))
        slurm = {"SLURM_JOB_NODELIST": "one", "SLURM_JOB_ID": str(os.getpid()), "SLURM_CPUS_PER_TASK": "2"}
        own = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "FOLDER": str(tmp_path), "OMP_NUM_THREADS": "1"}
        # Ray's ports stay on loopback.
        own["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        process = subprocess.Popen(
            ["bash", str(SCRIPT), "run", str(tmp_path / "s.yaml"), "--results", str(tmp_path / "r"), "--device", "cpu"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | slurm | own,
            process_group=0,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_a_job_makes_the_images_and_takes_its_cluster_down(job: Any, below: Any, tmp_path: Path) -> None:
    process = job(48)
    out, err = process.communicate(timeout=70)
    assert process.returncode == 0, err
    assert "1 cells complete: 48 images made" in out
    assert not below(process.pid).names()
    assert not (tmp_path / "requeued").exists()


@pytest.mark.full
def test_a_job_whose_time_is_over_keeps_what_is_finished_and_is_queued_again(job: Any, tmp_path: Path) -> None:
    process = job(2400)
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("*.npy")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert "terminated: " in err
    assert (tmp_path / "requeued").read_text() == f"requeue {os.getpid()}\n"


def test_usage() -> None:
    done = subprocess.run(["bash", str(SCRIPT)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "usage: sbatch --nodes=N sgbench.sbatch run|bench SUITE [OPTIONS]\n",
    )


@pytest.mark.parametrize("path", [SCRIPT, PAGE])
def test_options_of_sgbench_are_those_that_it_has(path: Path) -> None:
    commands = typer.main.get_command(app.app).commands  # type: ignore[attr-defined]
    text = path.read_text().replace("sgbench.sbatch run ", "sgbench run ").replace('sgbench "$@"', "sgbench bench")
    lines = [line for line in text.splitlines() if re.search(r"sgbench (run|bench|plan) ", line)]
    assert lines
    for line in lines:
        for verb, rest in re.findall(r"sgbench (run|bench|plan) ([^`']*)", line):
            known = {option for parameter in commands[verb].params for option in parameter.opts}
            assert set(re.findall(r"--[a-z-]+", rest.partition("#")[0])) <= known, line
