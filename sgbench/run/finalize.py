"""What is written once all images of a cell are there: cost.json and the picture; an earlier failure is removed.

cost.json holds multiply-accumulates as fvcore counts them on the networks that ran, and measured times.
"""

import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sgbench.base.provenance import provenance
from sgbench.cells.cell import Cell
from sgbench.cells.closed_form import CONVENTIONS, image_macs, is_stated, stopped_macs
from sgbench.cells.identity import cell_id
from sgbench.cells.program import Call, call_counts, may_stop
from sgbench.cost.macs import count_decoder, count_kept
from sgbench.cost.measured import summarise
from sgbench.guidance.perturbation import Layers
from sgbench.models.architecture import Macs
from sgbench.results.faults import RECORD
from sgbench.results.store import Store, shard_sizes
from sgbench.samplers.catalogue import moments
from sgbench.sampling.networks import Networks

GALLERY_ROWS, GALLERY_COLUMNS = 2, 10
_counted: dict[tuple[object, ...], Macs] = {}
_decoded: dict[tuple[str, str, tuple[int, int, int]], int] = {}


def cost_claim(cell: Cell) -> str:
    """The name under which a process claims a cell's cost.json."""
    return f"{cell_id(cell)} cost"


def is_recorded(cell: Cell, store: Store, samples: int) -> bool:
    """Whether cost and picture cover `samples` images, and no failure of as many or fewer is left."""
    described = store.read_record(cell, "cell") is not None
    complete = described and _is_costed(cell, store, samples) and store.read_picture(cell, "gallery") is not None
    return complete and not _failed_before(cell, store, samples)


def record(cell: Cell, networks: Networks, store: Store, samples: int) -> None:
    """Write cost and picture of a cell whose first `samples` images are there, unless another process has.

    The caller holds the cell's `cost_claim`.
    """
    if is_recorded(cell, store, samples):
        return
    first = store.read_shard(cell, 0)
    assert first is not None
    store.write_picture(cell, "gallery", gallery_png(first.images))
    # Seconds that `time` measured are kept if only the picture was damaged.
    if not _is_costed(cell, store, samples):
        store.write_record(cell, "cost", cost_record(cell, networks, store, samples))
    if _failed_before(cell, store, samples):
        store.remove_record(cell, RECORD)


def _is_costed(cell: Cell, store: Store, samples: int) -> bool:
    cost = store.read_record(cell, "cost")
    return cost is not None and cost["images"] >= samples


def _failed_before(cell: Cell, store: Store, samples: int) -> bool:
    found = store.read_record(cell, RECORD)
    return found is not None and found.get("samples", 0) <= samples


def gallery_png(images: NDArray[np.uint8]) -> bytes:
    """The first twenty images (n, H, W, C) in two rows, as PNG; fewer where there are fewer."""
    count, height, width, channels = images[: GALLERY_ROWS * GALLERY_COLUMNS].shape
    rows = math.ceil(count / GALLERY_COLUMNS)
    places = np.zeros((rows * GALLERY_COLUMNS, height, width, channels), dtype=np.uint8)
    places[:count] = images[:count]
    grid = places.reshape(rows, GALLERY_COLUMNS, height, width, channels).swapaxes(1, 2)
    sheet = grid.reshape(rows * height, GALLERY_COLUMNS * width, channels)
    buffer = io.BytesIO()
    Image.fromarray(sheet.squeeze(-1) if channels == 1 else sheet).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def counted_macs(cell: Cell, networks: Networks, call: Call) -> Macs:
    """fvcore's count of one call, traced once per model, checkpoint and number of kept tokens."""
    network = networks.of(call.branch)
    perturbation = call.perturbation
    if perturbation is not None and perturbation.draws_blocks:
        # All blocks that may be drawn cost the same, so one count holds for every choice of as many.
        choices = [one.parameter("layers", Layers()) for one in cell.guidance.segments or (cell.guidance,)]
        listed = next(layers for layers in choices if set(perturbation.layers) <= set(layers))
        perturbation = replace(perturbation, layers=listed[: len(perturbation.layers)])
    key = (cell.model, network.architecture, call.branch.checkpoint, call.kept, perturbation, bool(call.inner))
    if key not in _counted:
        _counted[key] = count_kept(network, call.kept, perturbation, bool(call.inner))
    return _counted[key]


def cost_record(cell: Cell, networks: Networks, store: Store, samples: int) -> dict[str, Any]:
    """cost.json of a cell whose first `samples` images are there."""
    branches = []
    for call, times in call_counts(cell):
        branch, perturbation = call.branch, call.perturbation
        one = counted_macs(cell, networks, call)
        branches.append(
            {
                "condition": branch.condition,
                "checkpoint": branch.checkpoint,
                "sparsity": branch.sparsity,
                "disturbed": None if branch.perturbation is None else branch.perturbation.name,
                "gamma": call.gamma,
                "kept_tokens": call.kept,
                "grid_tokens": networks.main.architecture.grid_tokens,
                "changed_blocks": None if perturbation is None else list(perturbation.layers),
                "calls_per_image": times,
                "macs": one.macs,
                "paper": one.paper,
            }
        )
    stops = _guided_evaluations(cell, store, samples) if may_stop(cell) else []
    image, spread = _image_macs(cell, lambda call: counted_macs(cell, networks, call), stops)
    return {
        "counted_by": f"fvcore {metadata.version('fvcore')}, attention by a handler",
        "conventions": CONVENTIONS,
        "branches": branches,
        "macs_per_image": image.macs,
        "paper_per_image": image.paper,
        "closed_form_macs_per_image": _image_macs(cell, None, stops)[0].macs if is_stated(cell) else None,
        **({"macs_per_image_sd": spread, "guided_evaluations": sum(stops) / len(stops)} if stops else {}),
        "decode_macs_per_image": None if networks.decoder is None else _decode_macs(cell, networks),
        "steps": cell.sampler.steps,
        "evaluations": len(moments(cell.sampler)),
        "images": samples,
        "measured": _measured(cell, store, samples),
        "made_by": provenance(),
    }


def _image_macs(cell: Cell, count: Callable[[Call], Macs] | None, stops: Sequence[int]) -> tuple[Macs, float]:
    """What an image costs, and the standard deviation over images: a mean where guidance stopped after `stops`."""
    if not stops:
        return image_macs(cell, count), 0.0
    by_end = {guided: stopped_macs(cell, guided, count) for guided in set(stops)}
    costs = np.array([by_end[guided] for guided in stops], dtype=np.float64)
    deviation = float(np.std([by_end[guided].macs for guided in stops]))
    return Macs(*(round(part) for part in costs.mean(axis=0).tolist())), deviation


def _guided_evaluations(cell: Cell, store: Store, samples: int) -> list[int]:
    """How many evaluations of each of the first images were guided."""
    shards = [(store.read_shard(cell, number), count) for number, count in shard_sizes(samples)]
    return [n for shard, count in shards if shard is not None for n in shard.notes["guided_evaluations"][:count]]


def _decode_macs(cell: Cell, networks: Networks) -> int:
    assert networks.decoder is not None
    key = (cell.model, cell.autoencoder, networks.main.architecture.sample_shape)
    if key not in _decoded:
        _decoded[key] = count_decoder(networks.decoder, networks.main.architecture.sample_shape)
    return _decoded[key]


def _measured(cell: Cell, store: Store, samples: int) -> dict[str, Any]:
    """Seconds, bytes and joules per image; seconds over the batches of the device that made most of them."""
    shards = [store.read_shard(cell, number) for number, _ in shard_sizes(samples)]
    notes = [shard.notes for shard in shards if shard is not None]
    by_device: dict[str, list[dict[str, Any]]] = {}
    for batch in (batch for note in notes for batch in note["batches"]):
        by_device.setdefault(json.dumps(batch["device"], sort_keys=True), []).append(batch)
    batches = max(by_device.values(), key=len)
    peaks = [note["peak_bytes"] for note in notes if note["peak_bytes"] is not None]
    metered = [note for note in notes if note["joules"] is not None]
    images = sum(note["joules_images"] for note in metered)
    return {
        **timing(
            [batch["seconds"] / batch["images"] for batch in batches],
            # Shards from before decoding was timed separately are of pixel-space models.
            [batch.get("decode_seconds", 0.0) / batch["images"] for batch in batches],
        ),
        "batch": max(batch["images"] for batch in batches),
        "peak_bytes": max(peaks) if peaks else None,
        "joules_per_image": sum(note["joules"] for note in metered) / images if images else None,
        "device": batches[0]["device"],
        "other_devices": len(by_device) - 1,
    }


def timing(sampling: Sequence[float], decoding: Sequence[float]) -> dict[str, Any]:
    """Seconds per image as cost.json holds them, from measured seconds of sampling and of decoding."""
    summary = summarise(sampling)
    return {
        "seconds_per_image": summary._asdict(),
        "images_per_second": 1 / summary.median,
        "decode_seconds_per_image": summarise(decoding).median,
    }
