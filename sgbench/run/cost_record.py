"""cost.json: multiply-accumulates as fvcore counts them on the networks that ran, and time as it was measured."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import metadata
from typing import Any

from sgbench.base.provenance import provenance
from sgbench.cells.cell import Cell
from sgbench.cells.closed_form import CONVENTIONS, image_macs
from sgbench.cells.program import Call, call_counts
from sgbench.cost.macs import count_decoder, count_kept
from sgbench.cost.measured import summarise
from sgbench.guidance.perturbation import layers
from sgbench.models.architectures.base import Macs
from sgbench.results.store import Store, shard_sizes
from sgbench.sampling.networks import Networks

_counted: dict[tuple[object, ...], Macs] = {}
_decoded: dict[tuple[str, str, tuple[int, int, int]], int] = {}


def counted_macs(cell: Cell, networks: Networks, call: Call) -> Macs:
    """fvcore's count of one call, traced once per model, checkpoint and number of kept tokens."""
    network = networks.of(call.branch)
    perturbation = call.perturbation
    if perturbation is not None and perturbation.draws_blocks:
        # Blocks that may be drawn cost the same, so one count stands for every draw of as many.
        same = layers(str(dict(cell.guidance.parameters)["layers"]))[: len(perturbation.layers)]
        perturbation = replace(perturbation, layers=same)
    key = (cell.model, call.branch.checkpoint, call.kept, perturbation)
    if key not in _counted:
        _counted[key] = count_kept(network, call.kept, perturbation)
    return _counted[key]


def cost_record(cell: Cell, networks: Networks, store: Store, samples: int) -> dict[str, Any]:
    """The whole of cost.json for a cell whose first `samples` images are there."""
    grid = networks.main.architecture.grid_tokens
    image = image_macs(cell, lambda call: counted_macs(cell, networks, call))
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
                "grid_tokens": grid,
                "changed_blocks": None if perturbation is None else list(perturbation.layers),
                "calls_per_image": times,
                "macs": one.macs,
                "paper": one.paper,
            }
        )
    return {
        "counted_by": f"fvcore {metadata.version('fvcore')}, attention by a handler",
        "conventions": CONVENTIONS,
        "branches": branches,
        "macs_per_image": image.macs,
        "paper_per_image": image.paper,
        "closed_form_macs_per_image": image_macs(cell).macs,
        "decode_macs_per_image": None if networks.decoder is None else _decode_macs(cell, networks),
        "steps": cell.sampler.steps,
        "images": samples,
        "measured": _measured(cell, store, samples),
        "made_by": provenance(),
    }


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
    timing = summarise([batch["seconds"] / batch["images"] for batch in batches])
    peaks = [note["peak_bytes"] for note in notes if note["peak_bytes"] is not None]
    metered = [note for note in notes if note["joules"] is not None]
    images = sum(note["joules_images"] for note in metered)
    return {
        "seconds_per_image": timing._asdict(),
        "images_per_second": 1 / timing.median,
        # Shards made before decoding was timed apart are of models that draw pixels.
        "decode_seconds_per_image": summarise(
            [batch.get("decode_seconds", 0.0) / batch["images"] for batch in batches]
        ).median,
        "batch": max(batch["images"] for batch in batches),
        "peak_bytes": max(peaks) if peaks else None,
        "joules_per_image": sum(note["joules"] for note in metered) / images if images else None,
        "device": batches[0]["device"],
        "other_devices": len(by_device) - 1,
    }
