"""The cluster of the Ray engine: one that is there, or one of this machine, whose ports are on loopback."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sgbench.base.errors import UserError
from sgbench.base.processor import usable_cores
from sgbench.run.engines import Ray, require_ray

# Connecting to what is no cluster takes Ray minutes and ends the process: another one tries first.
PROBE_SECONDS, KNOCK_SECONDS = 40.0, 5.0
PROBE = """
import sys
import ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False, logging_level="critical")
except Exception as error:
    sys.exit("SAID " + " ".join(str(error).split()))
"""
# The least that Ray takes; what workers send back is tiny.
OBJECT_BYTES = 100 << 20
# What a cluster that is started here does unless the environment says otherwise.
DEFAULTS = {
    # Ray reports usage to its makers unless told otherwise.
    "RAY_USAGE_STATS_ENABLED": "0",
    # A worker without a GPU keeps CUDA_VISIBLE_DEVICES as it is; without this Ray warns of it.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Ray's workers would otherwise yield to every other process of the machine.
    "RAY_worker_niceness": "0",
    # Named after the systems where Ray does so unasked: the node is 127.0.0.1, and all its ports are bound there.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}


class Cluster(NamedTuple):
    """A cluster that this process is connected to, and what a worker of a run asks it for."""

    ray: Any
    device: str
    threads: int

    @property
    def slots(self) -> int:
        """How many workers it holds at the moment."""
        has = self.ray.cluster_resources()
        cpus = int(has.get("CPU", 0) // self.threads)
        return min(cpus, int(has.get("GPU", 0))) if self.device == "cuda" else cpus

    @property
    def request(self) -> dict[str, float]:
        """Resources of one worker, as Ray's tasks are asked for them."""
        return {"num_cpus": self.threads, "num_gpus": 1 if self.device == "cuda" else 0}


@contextlib.contextmanager
def connected(settings: Ray, device: str) -> Iterator[Cluster]:
    """Connect for the time of the context; a cluster that was started for it ends with it.

    `device` is auto, cpu or cuda: auto is CUDA where the cluster has GPUs. A program that is connected already stays
    so, and its cluster is used. Raises UserError where there is no cluster, or none that has such workers.
    """
    require_ray()
    for name, value in (DEFAULTS if settings.address is None else _credentials()).items():
        os.environ.setdefault(name, value)
    import ray

    own = not ray.is_initialized()
    with _own_signals():
        if own and settings.address is None:
            ray.init(
                address="local",
                num_cpus=usable_cores(),
                include_dashboard=False,
                object_store_memory=OBJECT_BYTES,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        elif own:
            _probe(settings.address or "auto")
            ray.init(address=settings.address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield _offer(ray, settings, device)
    finally:
        if own:
            ray.shutdown()


def _offer(ray: Any, settings: Ray, device: str) -> Cluster:
    has_gpus = ray.cluster_resources().get("GPU", 0) >= 1
    if device == "auto":
        device = "cuda" if has_gpus else "cpu"
    if device not in ("cpu", "cuda"):
        raise UserError(f"Ray chooses the GPUs, and {device} is one", where="--device", fix="use auto, cpu or cuda")
    if device == "cuda" and not has_gpus:
        raise UserError(
            "the cluster of Ray has no GPU", where="--device", fix="add a node with one, or use auto or cpu"
        )
    most = max((int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]), default=0)
    if settings.threads_per_worker > most:
        raise UserError(
            f"a worker asks for {settings.threads_per_worker} CPUs, and no node of the cluster has more than {most}",
            where="--threads-per-worker",
            fix="ask for fewer",
        )
    return Cluster(ray, device, settings.threads_per_worker)


def _credentials() -> dict[str, str]:
    """`ray start` asks for a token where one lies, and whoever connects has to be told to show it."""
    token = Path.home() / ".ray" / "auth_token"
    has = token.is_file() or {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ)
    return {"RAY_AUTH_MODE": "token"} if has else {}


def _probe(address: str) -> None:
    """Raise UserError where no cluster of this version of Ray and Python answers at `address`."""
    fix = "start one with `ray start --head`, correct the address, or leave it out for a cluster of this machine"
    where = f"--address {address}"
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), KNOCK_SECONDS).close()
        except (OSError, OverflowError) as error:
            raise UserError(f"nothing answers there ({error})", where=where, fix=fix) from error
    command = [sys.executable, "-c", PROBE, address]
    try:
        tried = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PROBE_SECONDS)
    except subprocess.TimeoutExpired as error:
        said = f"no cluster of Ray answered in {PROBE_SECONDS:g} seconds"
        raise UserError(said, where=where, fix=fix) from error
    if tried.returncode:
        said = tried.stderr.rpartition("SAID ")[2].strip() or "no reason was given"
        raise UserError(f"Ray does not connect ({said})", where=where, fix=fix)


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Ray puts a handler of its own in the place of ours."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
