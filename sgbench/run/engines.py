"""What hands out the shards of a run: this process, or Ray. No torch, no Ray."""

from __future__ import annotations

from enum import StrEnum
from importlib import util
from typing import NamedTuple

from sgbench.base.errors import UserError


class Engine(StrEnum):
    """The engines by name."""

    LOCAL = "local"
    RAY = "ray"


class Ray(NamedTuple):
    """A run on Ray: on the cluster at `address`, or on one that is started on this machine for the run."""

    address: str | None = None
    threads_per_worker: int = 1
    """Threads of torch in every worker, and CPUs that it asks Ray for."""


def chosen_engine(engine: Engine, address: str | None, threads_per_worker: int | None) -> Ray | None:
    """The settings of Ray, or None for this process. Raises UserError where options do not fit together."""
    if engine is Engine.RAY:
        require_ray()
        return Ray(address, threads_per_worker or 1)
    for option, value in (("--address", address), ("--threads-per-worker", threads_per_worker)):
        require_engine(Engine.RAY, engine, option, value)
    return None


def require_engine(needed: Engine, engine: Engine, option: str, value: object) -> None:
    """Raise UserError where an option of one engine is given with another."""
    if value is not None and engine is not needed:
        fix = f"add --engine {needed}, or leave it out"
        raise UserError(f"it is an option of the engine {needed}", where=option, fix=fix)


def require_ray() -> None:
    """Raise UserError where Ray is not installed."""
    try:
        found = util.find_spec("ray")
    except ValueError:
        found = None
    if found is None:
        raise UserError("Ray is not installed", where="--engine ray", fix="run `pip install 'sgbench[ray]'`")
