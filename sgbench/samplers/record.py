"""What results keep of a user's sampler: all but its functions, so that a report need not run its file. No torch."""

from typing import Any, NoReturn

from sgbench.base.errors import UserError
from sgbench.base.registry import as_tuple
from sgbench.samplers.settings import SamplerKind

KEPT = ("name", "title", "source", "clock", "takes", "most_steps", "needs_variance", "works", "rank")


def sampler_record(kind: SamplerKind) -> dict[str, Any]:
    """The facts of a sampler as JSON takes them."""
    return {**{name: getattr(kind, name) for name in KEPT}, "solve_plus_plus": kind.solve_plus_plus is not None}


def closed_sampler(record: dict[str, Any]) -> SamplerKind:
    """A sampler that can be named, and not run. Raises KeyError, TypeError or ValueError for other records."""
    return SamplerKind(
        **{name: as_tuple(record[name]) for name in KEPT},
        moments=_closed,
        solve=_closed,
        solve_plus_plus=_closed if record["solve_plus_plus"] else None,
    )


def _closed(*_: Any) -> NoReturn:
    raise UserError(
        "the sampler is known from a record of results alone",
        where="a user's sampler",
        fix="run the suite, which loads its file",
    )
