"""Score the cells of a suite: one extraction pass per extractor, every metric from its features, rows at the end."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple

import torch

from sgbench.base.errors import NoScoreError
from sgbench.base.progress import Progress
from sgbench.base.provenance import provenance
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id
from sgbench.images.sets import check_against, info_of, look, scan
from sgbench.metrics.catalogue import METRICS, feature_metrics, image_metrics
from sgbench.metrics.computer import Computer
from sgbench.metrics.metric import PairedMetric
from sgbench.metrics.references.load import load_reference
from sgbench.metrics.references.reference import Reference
from sgbench.results.claims import Claims, work_through
from sgbench.results.faults import Failure, read_failure
from sgbench.results.store import Store
from sgbench.score.cell_images import CellImages, IncompleteError
from sgbench.score.features import cell_features
from sgbench.score.judge_scores import TextScorer
from sgbench.score.protocols import suite_protocols
from sgbench.suite.schema import Suite

ROWS_CLAIM = "rows"


class ScoreSummary(NamedTuple):
    """What a scoring pass did; `refused` holds why cells have no score, `failed` which have no images to score."""

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

    def __init__(self, suite: Suite, store: Store, device: torch.device, progress: Progress) -> None:
        self.suite, self.store, self.device, self.progress = suite, store, device, progress
        self._computer: Computer | None = None
        self._texts = TextScorer(store, device)
        self._opened: Reference | None = None
        self._networks: dict[str, Any] = {}
        self._seen: dict[Cell, str] = {}
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
            if image_metrics(suite.metrics):
                reference = self._reference()
                check_against(seen, reference.side, reference.channels, reference.name, images.where)
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
        computed, failure = self._compute(cell, images, missing)
        for metric, found in computed.items():
            chosen = self.protocols[metric]
            known[metric] = {**found, "protocol_id": chosen.id, "protocol": chosen._asdict()}
        # Scores of metrics that are no longer asked for stay; those of older protocols have just been replaced.
        known["made_by"] = {**provenance(), "device": self.device.type}
        self.store.write_record(cell, "scores", {**record, key: known})
        if failure is not None:
            raise failure
        return True

    def __enter__(self) -> CellScorer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._texts.__exit__(kind, error, trace)

    def _compute(
        self, cell: Cell, images: CellImages, metrics: list[str]
    ) -> tuple[dict[str, dict[str, Any]], NoScoreError | None]:
        """Scores by metric; and why a judge gave none, which takes nothing from the other metrics."""
        found: dict[str, dict[str, Any]] = {}
        failure: NoScoreError | None = None
        info = info_of(images)
        for metric in metrics:
            if METRICS[metric].text:
                try:
                    found[metric] = self._texts.score(metric, cell, info)
                except IncompleteError:
                    raise
                except NoScoreError as error:
                    failure = failure or error
        computed = feature_metrics(metrics)
        if computed:
            computer = self._ready()
            features = {
                e: cell_features(e, cell, self.store, images.count, computer.loaded)
                for e in computer.extractors(computed)
            }
            found |= computer.compute(computed, features, info)
        for metric in metrics:
            paired = METRICS[metric]
            if isinstance(paired, PairedMetric):
                self._networks[metric] = self._networks.get(metric) or paired.load(self.device)
                other = CellImages(cell.unguided(), self.store, self.suite.samples)
                scored = paired.score(self._networks[metric], images.parts(), other.parts(), info, self.device)
                found[metric] = {**scored, "unguided_sha256": self._unguided(cell)}
        return found, failure

    def _ready(self) -> Computer:
        if self._computer is None:
            self._computer = Computer(self._reference(), image_metrics(self.suite.metrics), self.device, self.progress)
        return self._computer

    def _reference(self) -> Reference:
        if self._opened is None:
            self._opened = load_reference(self.suite.reference, f"{self.suite.where}: reference")
        return self._opened

    def _unguided(self, cell: Cell) -> str:
        """The digest of the images that LPIPS holds a cell's against."""
        other = cell.unguided()
        if other not in self._seen:
            self._seen[other] = scan(CellImages(other, self.store, self.suite.samples))[0].sha256
        return self._seen[other]


def score_cells(
    cells: Sequence[Cell], suite: Suite, store: Store, device: torch.device, progress: Progress
) -> ScoreSummary:
    """Write scores.json of every cell.

    A cell that has no score (black images, say) does not keep the others from theirs; it is told of in the summary.
    So is one that failed to be drawn. Several processes may score one tree at once, and share the work.
    Raises UserError for what keeps all of them: missing weights, a full disk.
    """
    scorer = CellScorer(suite, store, device, progress)
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
    with scorer:
        work_through(cells, lambda cell: f"{cell_id(cell)} score", score, claims, progress.say)
    progress.end()
    with claims.awaited(ROWS_CLAIM):
        # Rows name protocols by their ids.
        store.write_protocols({**store.read_protocols(), **store.scored_protocols(cells)})
    return ScoreSummary(len(cells), scored, tuple(refused), tuple(failed))


def refusal(summary: ScoreSummary) -> NoScoreError | None:
    """What to say of a pass in which cells have no score; None where all have."""
    if not summary.refused:
        return None
    first, more = summary.refused[0], len(summary.refused) - 1
    what = first.what + (f" ({more} more cell{'s have' if more > 1 else ' has'} no score either)" if more else "")
    others = summary.cells - len(summary.refused)
    return NoScoreError(what, where=first.where, fix=first.fix + (f"; the other {others} are scored" if others else ""))
