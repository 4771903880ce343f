"""The engine of a run: this process, or Ray. Imports neither torch nor Ray."""

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
    """Torch threads of every worker, and the CPUs it requests from Ray."""


def chosen_engine(engine: Engine, address: str | None, threads_per_worker: int | None) -> Ray | None:
    """The settings of Ray, or None for this process. Raises UserError for options that do not fit together."""
    require_ray_for("--address", address, engine)
    require_ray_for("--threads-per-worker", threads_per_worker, engine)
    if engine is not Engine.RAY:
        return None
    require_ray()
    return Ray(address, threads_per_worker or 1)


def require_ray_for(option: str, value: object, engine: Engine) -> None:
    """Raise UserError where an option of the engine `ray` is given with another engine."""
    if value is not None and engine is not Engine.RAY:
        raise UserError("this option needs the engine ray", where=option, fix="add --engine ray, or leave it out")


def require_ray() -> None:
    """Raise UserError if Ray is not installed."""
    try:
        found = util.find_spec("ray")
    except ValueError:
        found = None
    if found is None:
        raise UserError("Ray is not installed", where="--engine ray", fix="run `pip install 'sgbench[ray]'`")
