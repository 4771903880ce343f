"""The cluster of the Ray engine: an existing one, or one on this machine that listens on loopback alone."""

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

# Connecting to something that is not a cluster takes Ray minutes and ends the process: another process tries first.
PROBE_SECONDS, KNOCK_SECONDS = 40.0, 5.0
PROBE = """
import sys
import ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False, logging_level="critical")
except Exception as error:
    sys.exit("SAID " + " ".join(str(error).split()))
"""
# The minimum that Ray accepts; what workers return is tiny.
OBJECT_BYTES = 100 << 20
# Settings of a cluster that is started here, unless the environment has others.
DEFAULTS = {
    # No usage reports to Ray's makers.
    "RAY_USAGE_STATS_ENABLED": "0",
    # A worker without a GPU keeps CUDA_VISIBLE_DEVICES; without this Ray warns about it.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Workers would otherwise run at lower priority than every other process.
    "RAY_worker_niceness": "0",
    # The node is 127.0.0.1 and binds all its ports there, as Ray does by default on Windows and macOS.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}


class Cluster(NamedTuple):
    """A cluster that this process is connected to, and what a worker of a run requests from it."""

    ray: Any
    device: str
    threads: int

    @property
    def slots(self) -> int:
        """How many workers it has room for at the moment."""
        has = self.ray.cluster_resources()
        cpus = int(has.get("CPU", 0) // self.threads)
        return min(cpus, int(has.get("GPU", 0))) if self.device == "cuda" else cpus

    @property
    def request(self) -> dict[str, float]:
        """Resources of one worker, as options of a Ray task."""
        return {"num_cpus": self.threads, "num_gpus": 1 if self.device == "cuda" else 0}


@contextlib.contextmanager
def connected(settings: Ray, device: str) -> Iterator[Cluster]:
    """Connect for the time of the context; a cluster that was started for it ends with it.

    `device` is auto, cpu or cuda: auto is CUDA if the cluster has GPUs. A program that is already connected stays so,
    and its cluster is used. Raises UserError if there is no cluster, or it has no room for such workers.
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
        raise UserError(
            f"Ray assigns the GPUs, so {device!r} cannot be chosen", where="--device", fix="use auto, cpu or cuda"
        )
    if device == "cuda" and not has_gpus:
        raise UserError("the Ray cluster has no GPU", where="--device", fix="add a node with a GPU, or use auto or cpu")
    most = max((int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]), default=0)
    if settings.threads_per_worker > most:
        what = f"a worker needs {settings.threads_per_worker} CPUs, but no node of the cluster has more than {most}"
        raise UserError(what, where="--threads-per-worker", fix="give a smaller number")
    return Cluster(ray, device, settings.threads_per_worker)


def _credentials() -> dict[str, str]:
    """Clusters started by `ray start` on a machine with a token require it, which clients must enable."""
    token = Path.home() / ".ray" / "auth_token"
    has = token.is_file() or {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ)
    return {"RAY_AUTH_MODE": "token"} if has else {}


def _probe(address: str) -> None:
    """Raise UserError if no cluster with this version of Ray and Python answers at `address`."""
    fix = "start one with `ray start --head`, correct the address, or leave it out for a cluster on this machine"
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
        said = f"no Ray cluster answered within {PROBE_SECONDS:g} seconds"
        raise UserError(said, where=where, fix=fix) from error
    if tried.returncode:
        said = tried.stderr.rpartition("SAID ")[2].strip() or "no reason was given"
        raise UserError(f"Ray cannot connect ({said})", where=where, fix=fix)


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Restore our signal handlers, which Ray replaces by its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
