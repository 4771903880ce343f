"""Cells that failed: their records, and the sentences of commands about them. No torch.

A cell's `failure.json` exists from the failure until a run completes the cell. The same command tries it again.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sgbench.base.errors import CellError
from sgbench.base.provenance import provenance
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id
from sgbench.results.store import Store

RECORD = "failure"
LISTED = 3


class Failure(NamedTuple):
    """A cell that failed, and why."""

    cell: str
    settings: str
    reason: str
    fix: str

    def sentence(self) -> str:
        """The failure as one line."""
        return f"{self.settings}: {self.reason}; {self.fix}."


def write_failure(
    cell: Cell, number: int, samples: int, fault: CellError, device: dict[str, Any], store: Store
) -> Failure:
    """Record why a cell failed in a shard of a run to `samples` images."""
    record = {
        "reason": fault.what,
        "fix": fault.fix,
        "step": fault.step,
        "steps": cell.sampler.steps,
        "branch": fault.branch,
        "rule": cell.guidance.rule,
        "settings": cell.describe(),
        "shard": number,
        "samples": samples,
        "device": device,
        **provenance(),
    }
    store.write_record(cell, RECORD, record)
    return _failure(cell, record)


def read_failure(cell: Cell, store: Store) -> Failure | None:
    """Why a cell failed when it was last tried; None where it did not."""
    record = store.read_record(cell, RECORD)
    return None if record is None else _failure(cell, record)


def _failure(cell: Cell, record: dict[str, Any]) -> Failure:
    reason = str(record.get("reason", "the reason is not recorded"))
    return Failure(cell_id(cell), cell.describe(), reason, str(record.get("fix", "run the suite again")))


def sentences(failed: Sequence[Failure]) -> list[str]:
    """A sentence for each of the first few cells that failed, then how many more did."""
    listed = [failure.sentence() for failure in failed[:LISTED]]
    more = len(failed) - LISTED
    return listed if more <= 0 else [*listed, f"and {more} more cells failed; the rows say why."]
