"""Score the cells of a suite: one extraction pass per extractor, every metric from its features, rows at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from sgbench.errors import UserError
from sgbench.progress import Progress
from sgbench.provenance import provenance
from sgbench.run.store import Store
from sgbench.score.compute import Computer, fields
from sgbench.score.expected import Facts, suite_protocols
from sgbench.score.features import cell_features
from sgbench.score.images import CellImages, IncompleteError, look, scan
from sgbench.score.metrics import METRICS
from sgbench.score.references import load_reference
from sgbench.score.weights import require
from sgbench.suite.cell import Cell
from sgbench.suite.schema import Suite


class ScoreSummary(NamedTuple):
    """What a scoring pass did."""

    cells: int
    scored: int


class CellScorer:
    """Scores cells of one suite; what they share is loaded when the first of them needs it."""

    def __init__(self, suite: Suite, store: Store, device: torch.device, progress: Progress) -> None:
        self.suite, self.store, self.device, self.progress = suite, store, device, progress
        self._computer: Computer | None = None
        self._lpips: Any = None
        self.protocols = suite_protocols(suite)

    def score(self, cell: Cell) -> bool:
        """Bring a cell's scores.json up to date; whether anything had to be computed.

        Scores of the same images and protocol are kept. Raises UserError when images are missing or have no score.
        """
        suite, key = self.suite, str(self.suite.samples)
        record = self.store.read_record(cell, "scores") or {}
        known = record.get(key, {})
        images = CellImages(cell, self.store, suite.samples)
        absent: IncompleteError | None = None
        try:
            seen = look(images) if suite.metrics else scan(images)[0]
        except IncompleteError as error:
            absent = error
        else:
            # Scores may outlive their images (the committed ones do), but never belong to others.
            if known.get("images_sha256") != seen.sha256:
                known = {"images_sha256": seen.sha256}
        wanted = [m for m in suite.metrics if not (m == "lpips" and cell == cell.unguided())]
        missing = [m for m in wanted if known.get(m, {}).get("protocol_id") != self.protocols[m].id]
        if not missing and key in record:
            return False
        if absent is not None:
            raise absent
        for metric, found in self._compute(cell, images, missing).items():
            chosen = self.protocols[metric]
            known[metric] = {**found, "protocol_id": chosen.id, "protocol": chosen._asdict()}
        # Scores of metrics that are no longer asked for stay; those of older protocols have just been replaced.
        known["made_by"] = {**provenance(), "device": self.device.type}
        self.store.write_record(cell, "scores", {**record, key: known})
        return True

    def _compute(self, cell: Cell, images: CellImages, metrics: list[str]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        computed = [m for m in metrics if METRICS[m].kind != "lpips"]
        if computed:
            computer = self._ready()
            facts = Facts(images.where, images.count, images.label_policy, images.quantisation, images.labels)
            features = {
                e: cell_features(e, cell, self.store, images.count, computer.loaded)
                for e in computer.extractors(computed)
            }
            found = computer.compute(computed, features, facts)
        if "lpips" in metrics:
            from sgbench.score.lpips import load, lpips

            self._lpips = self._lpips or load(require("lpips"), self.device)
            other = CellImages(cell.unguided(), self.store, self.suite.samples)
            estimate, distances = lpips(self._lpips, images.parts(), other.parts(), self.device)
            found["lpips"] = {**fields(estimate), "distances": [round(float(d), 5) for d in distances]}
        return found

    def _ready(self) -> Computer:
        if self._computer is None:
            reference = load_reference(self.suite.reference, f"{self.suite.where}: reference")
            self._computer = Computer(reference, self.suite.metrics, self.device, self.progress)
        return self._computer


def score_cells(
    cells: Sequence[Cell], suite: Suite, store: Store, device: torch.device, progress: Progress
) -> ScoreSummary:
    """Write scores.json of every cell.

    A cell that has no score (black images, say) does not keep the others from theirs: UserError for the first such
    cell is raised when all are done.
    """
    scorer = CellScorer(suite, store, device, progress)
    refused: list[UserError] = []
    scored = 0
    progress.begin("score", len(cells), "cell")
    for cell in cells:
        try:
            fresh = scorer.score(cell)
        except UserError as error:
            # What is wrong with one cell; missing weights, say, are wrong with all of them.
            if not error.where.startswith(str(store.cell_folder(cell))):
                raise
            refused.append(error)
            fresh = False
        scored += fresh
        progress.advance(1, cell.describe() + ("" if fresh else " (kept)"))
    progress.end()
    write_protocols(cells, store)
    if refused:
        first, more = refused[0], len(refused) - 1
        what = first.what + (f" ({more} more cells have no score either)" if more else "")
        raise UserError(what, where=first.where, fix=f"{first.fix}; the other cells are scored")
    return ScoreSummary(len(cells), scored)


def write_protocols(cells: Sequence[Cell], store: Store) -> None:
    """Keep every protocol under its id, so that rows can say in full what their numbers mean."""
    found = dict(store.read_protocols())
    for cell in cells:
        for scores in (store.read_record(cell, "scores") or {}).values():
            for entry in scores.values():
                if isinstance(entry, dict) and "protocol" in entry:
                    found[entry["protocol_id"]] = entry["protocol"]
    store.write_protocols(found)
