"""Score sets of images of any origin, so that other tools' results stand in one table with ours."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch

from sgbench.base.errors import NoScoreError, UserError
from sgbench.base.progress import Progress
from sgbench.cells.identity import cell_id
from sgbench.cells.prompts import load_prompts
from sgbench.images.prompted import LayoutImages, PromptedImages, is_layout
from sgbench.images.sets import FolderImages, NpzImages, info_of, open_images
from sgbench.metrics.catalogue import METRICS, check_names, reference_metrics
from sgbench.metrics.metric import PairedMetric
from sgbench.metrics.protocols import Protocol, differences, protocol
from sgbench.metrics.references.load import load_reference
from sgbench.results.find_cell import open_cell
from sgbench.score.cell_images import CellImages
from sgbench.score.set_scorer import SetScorer
from sgbench.stats.estimates import with_error
from sgbench.suite.prompt_checks import check_records

Source = CellImages | FolderImages | LayoutImages | NpzImages | PromptedImages


class Scored(NamedTuple):
    """A set of images with its scores and protocols by metric."""

    images: str
    samples: int
    sha256: str
    scores: dict[str, dict[str, Any]]
    protocols: dict[str, Protocol]
    cell: str = ""
    """The id of their cell; empty for images that another tool may have made."""
    seed: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The set as plain data; every score carries its protocol."""
        scores = {
            metric: {**found, "protocol_id": self.protocols[metric].id, "protocol": self.protocols[metric]._asdict()}
            for metric, found in self.scores.items()
        }
        made = {"images": self.images, "samples": self.samples, "images_sha256": self.sha256}
        return {**made, "cell": self.cell, "seed": self.seed, "scores": scores}


def score_images(
    paths: Sequence[Path],
    reference: str | None,
    metrics: Sequence[str],
    device: torch.device,
    progress: Progress,
    limit: int | None = None,
    labels: str | None = None,
    prompts: str | None = None,
) -> list[Scored]:
    """Scores of every set. Raises UserError for images, references, prompts and weights that cannot be used."""
    sources = _opened(paths, reference, metrics, limit, prompts)
    found = []
    with SetScorer(metrics, reference or "", "--reference", device, progress) as scorer:
        scorer.prepare()
        progress.begin("score", len(sources), "set")
        for source in sources:
            seen, info = scorer.look(source), info_of(source, labels)
            scores, failure = scorer.score(source, info, metrics)
            if failure is not None:
                raise failure
            made_by = (cell_id(source.cell), source.cell.seed) if isinstance(source, CellImages) else ()
            found.append(
                Scored(
                    source.where,
                    source.count,
                    seen.sha256,
                    {metric: scores[metric] for metric in metrics},
                    {metric: protocol(metric, info, scorer.reference) for metric in metrics},
                    *made_by,
                )
            )
            progress.advance(1, source.where)
    progress.end()
    return found


def _opened(
    paths: Sequence[Path], reference: str | None, metrics: Sequence[str], limit: int | None, prompts: str | None
) -> list[Source]:
    """The opened sets, after checking that each can have every metric, and that there are metrics at all."""
    check_names(metrics)
    for metric in metrics:
        if isinstance(METRICS[metric], PairedMetric):
            raise UserError(
                f"{metric} compares the guided and the unguided image of one seed, which a set alone does not have",
                where="--metrics",
                fix="score a suite with it",
            )
    comparing = reference_metrics(metrics)
    if comparing and reference is None:
        raise UserError(f"{comparing[0]} compares images with a reference", where="--reference", fix="name one")
    sources = [open_any(path, limit, prompts) for path in paths]
    for source in sources:
        for metric in metrics:
            _check_prompts(source, metric)
    return sources


def _check_prompts(source: Source, metric: str) -> None:
    """Raises UserError unless a set has the prompts that a metric needs."""
    if source.prompts is None:
        if METRICS[metric].text:
            raise UserError(
                f"{metric} judges images by their prompts, and these have none",
                where=source.where,
                fix="add --prompts FILE",
            )
        return
    check_records(metric, source.prompts)
    missing = -source.count % len(source.prompts.prompts)
    if metric == "geneval" and missing:
        raise NoScoreError(
            f"{missing} images are missing: there are {source.count} of {len(source.prompts.prompts)} prompts",
            where=source.where,
            fix="generate equally many images of every prompt",
        )


def open_any(path: Path, limit: int | None, prompts: str | None = None) -> Source:
    """A folder of images, an npz, a cell's folder, or GenEval's folders, with their prompts."""
    if (path / "cell.json").is_file():
        cell, store = open_cell(path)
        if prompts is not None:
            raise UserError("a cell has its own prompts", where="--prompts", fix="leave it out")
        return CellImages(cell, store, store.images_there(cell, limit), keep=False)
    if limit is not None:
        raise UserError("--limit is for suites and cells", where=str(path), fix="leave it out, or give a smaller set")
    if is_layout(path):
        if prompts is not None:
            raise UserError("GenEval's folders contain their prompts", where="--prompts", fix="leave it out")
        return LayoutImages(path)
    images = open_images(path)
    return images if prompts is None else PromptedImages(images, load_prompts(prompts, "--prompts"))


def explain(
    paths: Sequence[Path],
    reference: str | None,
    metrics: Sequence[str],
    limit: int | None = None,
    labels: str | None = None,
    prompts: str | None = None,
) -> list[Protocol]:
    """The distinct protocols that sets of images would be scored under; nothing is scored."""
    sources = _opened(paths, reference, metrics, limit, prompts)
    opened = load_reference(reference) if reference else None
    info = [info_of(source, labels) for source in sources]
    found = [protocol(metric, one, opened) for metric in metrics for one in info]
    return list({p.id: p for p in found}.values())


def table(found: Sequence[Scored], metrics: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """A row per set and a column per metric and protocol; and what differs where a metric has two protocols."""
    lines = [{"images": one.images, "N": f"{one.samples:,}"} for one in found]
    notes = []
    for metric in metrics:
        protocols = list({one.protocols[metric].id: one.protocols[metric] for one in found}.values())
        for number, chosen in enumerate(protocols):
            title = METRICS[metric].title + (f" ({number + 1})" if len(protocols) > 1 else "")
            for line, one in zip(lines, found, strict=True):
                value = one.scores[metric]
                same = one.protocols[metric].id == chosen.id
                line[title] = with_error(value["value"], value["standard_error"]) if same else ""
            if number:
                gap = "; ".join(differences(protocols[0], chosen))
                notes.append(f"{METRICS[metric].title}: columns (1) and ({number + 1}) are not comparable: {gap}")
    if not all(one.cell for one in found):
        notes.append(
            "How other tools rounded their images to uint8 is not known; truncation makes them half a level darker."
        )
    return pd.DataFrame(lines), notes
