"""Score the cells of a suite: what is up to date is kept, the rest is computed, cell by cell."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from sgbench.base.errors import NoScoreError
from sgbench.base.progress import Progress
from sgbench.base.provenance import provenance
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id
from sgbench.images.sets import info_of, scan
from sgbench.results.claims import Claims, work_through
from sgbench.results.faults import Failure, read_failure
from sgbench.results.store import Store
from sgbench.score.cell_images import CellImages, IncompleteError
from sgbench.score.protocols import suite_protocols
from sgbench.score.set_scorer import SetScorer
from sgbench.suite.schema import Suite

ROWS_CLAIM = "rows"


class ScoreSummary(NamedTuple):
    """The result of a scoring pass: `refused` says why cells have no score, `failed` which have no images."""

    cells: int
    scored: int
    refused: tuple[NoScoreError, ...] = ()
    failed: tuple[Failure, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The numbers as plain data."""
        failed = [failure._asdict() for failure in self.failed]
        return {"cells": self.cells, "scored": self.scored, "failed": failed}


class CellScorer:
    """Scores cells of one suite; what they share is loaded when the first of them needs it."""

    def __init__(self, suite: Suite, store: Store, sets: SetScorer) -> None:
        self.suite, self.store, self.sets = suite, store, sets
        self._seen: dict[Cell, str] = {}
        self.protocols = suite_protocols(suite)

    def score(self, cell: Cell) -> bool:
        """Bring a cell's scores.json up to date; return whether anything had to be computed.

        Scores of the same images and protocol are kept. Raises UserError when images are missing or have no score.
        """
        suite, key = self.suite, str(self.suite.samples)
        record = self.store.read_record(cell, "scores") or {}
        known = record.get(key, {})
        images = self._images(cell)
        absent: IncompleteError | None = None
        try:
            seen = self.sets.look(images) if suite.metrics else scan(images)[0]
        except IncompleteError as error:
            absent = error
        else:
            # Scores may outlive their images (the committed ones do), but never belong to others.
            if known.get("images_sha256") != seen.sha256:
                known = {"images_sha256": seen.sha256}
            if "lpips" in suite.metrics and known.get("lpips", {}).get("unguided_sha256") != self._unguided(cell):
                known.pop("lpips", None)
        wanted = [m for m in suite.metrics if not (m == "lpips" and cell == cell.unguided())]
        missing = [m for m in wanted if known.get(m, {}).get("protocol_id") != self.protocols[m].id]
        if not missing and key in record:
            return False
        if absent is not None:
            raise absent
        self.store.remove_leftovers(cell)
        unguided = self._images(cell.unguided()) if "lpips" in missing else None
        computed, failure = self.sets.score(images, info_of(images), missing, unguided)
        if failure is not None and not computed:
            raise failure
        if "lpips" in computed:
            computed["lpips"]["unguided_sha256"] = self._unguided(cell)
        for metric, found in computed.items():
            chosen = self.protocols[metric]
            known[metric] = {**found, "protocol_id": chosen.id, "protocol": chosen._asdict()}
        # Scores of metrics that the suite no longer lists stay; those of older protocols have just been replaced.
        known["made_by"] = {**provenance(), "device": self.sets.device.type}
        self.store.write_record(cell, "scores", {**record, key: known})
        if failure is not None:
            raise failure
        return True

    def _images(self, cell: Cell) -> CellImages:
        return CellImages(cell, self.store, self.suite.samples)

    def _unguided(self, cell: Cell) -> str:
        """The digest of the images that LPIPS compares a cell's with."""
        other = cell.unguided()
        if other not in self._seen:
            self._seen[other] = scan(self._images(other))[0].sha256
        return self._seen[other]


def score_cells(
    cells: Sequence[Cell], suite: Suite, store: Store, device: torch.device, progress: Progress
) -> ScoreSummary:
    """Write scores.json of every cell.

    A cell without a score (black images, say) does not stop the others; the summary lists it, and cells whose images
    failed. Several processes may score one tree at once and share the work. Raises UserError for what stops all of
    them: missing weights, a full disk.
    """
    sets = SetScorer(suite.metrics, suite.reference, f"{suite.where}: reference", device, progress)
    scorer = CellScorer(suite, store, sets)
    refused: list[NoScoreError] = []
    failed: list[Failure] = []
    scored = 0

    def score(cell: Cell) -> None:
        nonlocal scored
        fresh = False
        try:
            fresh = scorer.score(cell)
        except IncompleteError as error:
            failure = read_failure(cell, store)
            if failure is None:
                refused.append(error)
            else:
                failed.append(failure)
        except NoScoreError as error:
            refused.append(error)
        scored += fresh
        progress.advance(1, cell.describe() + ("" if fresh else " (kept)"))

    claims = Claims(store.folder)
    progress.begin("score", len(cells), "cell")
    with sets:
        work_through(cells, lambda cell: f"{cell_id(cell)} score", score, claims, progress.say)
    progress.end()
    with claims.awaited(ROWS_CLAIM):
        # Rows name protocols by their ids.
        store.write_protocols({**store.read_protocols(), **store.scored_protocols(cells)})
    return ScoreSummary(len(cells), scored, tuple(refused), tuple(failed))


def refusal(summary: ScoreSummary) -> NoScoreError | None:
    """The error for a pass in which cells have no score; None where all have one."""
    if not summary.refused:
        return None
    first, more = summary.refused[0], len(summary.refused) - 1
    what = first.what + (f" ({more} more cell{'s have' if more > 1 else ' has'} no score either)" if more else "")
    others = summary.cells - len(summary.refused)
    return NoScoreError(what, where=first.where, fix=first.fix + (f"; the other {others} are scored" if others else ""))
