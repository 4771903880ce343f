"""Score the cells of a suite: one extraction pass, every metric from its features, rows at the end."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sgbench.errors import UserError
from sgbench.models import catalogue
from sgbench.models.classifier import FashionCNN
from sgbench.progress import Progress
from sgbench.provenance import provenance
from sgbench.run.store import Store
from sgbench.sampling.randomness import labels
from sgbench.score.extractors.fashion_cnn import extract, load_classifier
from sgbench.score.frechet import frechet_estimate
from sgbench.score.label_agreement import label_agreement
from sgbench.score.precision_recall import Real, precision_recall, prepare_real
from sgbench.score.protocols import EXTRACTOR, Protocol, protocol
from sgbench.score.reference import Floor, Reference, floor, load_reference
from sgbench.stats.jackknife import Estimate
from sgbench.suite.cell import Cell
from sgbench.suite.schema import Suite
from sgbench.zoo import weights


class ScoreSummary(NamedTuple):
    """What a scoring pass did."""

    cells: int
    scored: int


class _Tools(NamedTuple):
    """What every cell of a pass shares, loaded once."""

    classifier: FashionCNN
    reference: Reference
    real: Real
    floor: Floor
    device: torch.device


def score_cells(
    cells: Sequence[Cell], suite: Suite, store: Store, device: torch.device, progress: Progress
) -> ScoreSummary:
    """Write scores.json of every cell. Scores of the same protocol that are there already are kept.

    Raises UserError when a cell's images are not complete.
    """
    wanted: dict[str, Protocol] = {
        metric: protocol(metric, suite.samples, suite.labels, suite.reference) for metric in suite.metrics
    }
    tools: _Tools | None = None
    scored = 0
    progress.begin("score", len(cells), "cell")
    for cell in cells:
        record = store.read_record(cell, "scores") or {}
        known = record.get(str(suite.samples), {})
        images = store.read_images(cell, suite.samples)
        digest = None if images is None else hashlib.sha256(images.tobytes()).hexdigest()
        # Scores may outlive their images (the committed ones do), but never belong to others.
        if digest is not None and known.get("images_sha256") != digest:
            known = {"images_sha256": digest}
        missing = [m for m, p in wanted.items() if known.get(m, {}).get("protocol_id") != p.id]
        if not suite.metrics and str(suite.samples) not in record:
            # Nothing to compute: the entry says that so many images stand for a row.
            if digest is None:
                raise _incomplete(cell, suite.samples, store)
            store.write_record(cell, "scores", {**record, str(suite.samples): {**known, "made_by": provenance()}})
        if missing:
            tools = tools or _load_tools(suite, device)
            if images is None or digest is None:
                raise _incomplete(cell, suite.samples, store)
            features = _features(cell, images, digest, store, tools)
            found = _score(cell, suite, missing, features, tools)
            for metric, fields in found.items():
                known[metric] = {
                    **fields,
                    "protocol_id": wanted[metric].id,
                    "protocol": wanted[metric]._asdict(),
                }
            known["made_by"] = provenance()
            store.write_record(cell, "scores", {**record, str(suite.samples): known})
            scored += 1
        progress.advance(1, cell.describe() + ("" if missing else " (kept)"))
    progress.end()
    return ScoreSummary(len(cells), scored)


def _load_tools(suite: Suite, device: torch.device) -> _Tools:
    reference = load_reference()
    return _Tools(
        load_classifier(device),
        reference,
        prepare_real(reference.held_out, device),
        floor(reference, suite.samples, suite.labels),
        device,
    )


def _score(
    cell: Cell, suite: Suite, metrics: list[str], stored: dict[str, NDArray[Any]], tools: _Tools
) -> dict[str, dict[str, Any]]:
    features, classes = stored["features"], stored["classes"]
    asked = labels(cell.seed, range(suite.samples), catalogue.entry(cell.model).classes, cell.labels)
    found: dict[str, dict[str, Any]] = {}
    if "fd" in metrics:
        estimate = frechet_estimate(features, tools.reference.moments, tools.reference.root)
        found["fd"] = {
            **_fields(estimate),
            "floor": tools.floor.mean,
            "floor_sd": _finite(tools.floor.deviation),
        }
    if {"precision", "recall"} & set(metrics):
        both = precision_recall(features, tools.real)
        found.update({m: _fields(getattr(both, m)) for m in ("precision", "recall") if m in metrics})
    if "label_agreement" in metrics:
        found["label_agreement"] = _fields(label_agreement(classes, asked))
    return found


def _features(
    cell: Cell, images: NDArray[np.uint8], digest: str, store: Store, tools: _Tools
) -> dict[str, NDArray[Any]]:
    extractor = f"{EXTRACTOR}-{weights.checkpoint_sha256(EXTRACTOR)[:12]}"
    stored = store.read_features(cell, extractor, len(images), digest)
    if stored is None:
        stored = extract(tools.classifier, images, tools.device)._asdict()
        store.write_features(cell, extractor, stored, digest)
    return stored


def _incomplete(cell: Cell, samples: int, store: Store) -> UserError:
    return UserError(
        f"the first {samples} images are not all there, or some are damaged",
        where=f"{store.cell_folder(cell)} ({cell.describe()})",
        fix="run the suite again: only what is missing is made",
    )


def _finite(value: float) -> float | None:
    return None if np.isnan(value) else value


def _fields(estimate: Estimate) -> dict[str, Any]:
    return {
        "value": estimate.value,
        "standard_error": estimate.standard_error,
        "corrected": estimate.corrected,
        "replicates": list(estimate.replicates),
    }
