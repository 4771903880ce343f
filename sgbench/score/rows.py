"""One row per cell and number of images: settings, cost, scores, protocols, provenance. No torch.

Rows are derived: `build_rows` makes them from cell.json, cost.json, scores.json and failure.json only.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id, cell_record
from sgbench.cells.prompts import load_prompts
from sgbench.cells.settings import settings
from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS
from sgbench.models import catalogue
from sgbench.results.faults import RECORD
from sgbench.results.schema import SCHEMA_VERSION, WHOLE
from sgbench.results.store import Store
from sgbench.samplers.catalogue import SAMPLERS

PERCENTILES = range(1, 100)
# Errors from records that `score` did not write: their cell has no row.
FOREIGN = (KeyError, TypeError, ValueError, AttributeError, ArithmeticError)


def build_rows(cells: Sequence[Cell], store: Store) -> pd.DataFrame:
    """Rows of all given cells that have a cost and scores, in order; one for each number of images scored.

    A failed cell has a row without either, for the number of images that it failed to reach.
    """
    rows: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for cell in cells:
        cost, scores = store.read_record(cell, "cost"), store.read_record(cell, "scores")
        if cost is not None and scores is not None:
            try:
                for n in sorted(scores, key=int):
                    priced, scored = _cost(cell, cost), _scores(scores[n])
                    dropped = any(one["kept_tokens"] < one["grid_tokens"] for one in cost["branches"])
                    rows.append(_row(cell, int(n), cost["made_by"], {**priced, **scored}, dropped))
                    if METRICS.origins.keys() & scores[n].keys():
                        _check_columns(scored, _row(cell, int(n), cost["made_by"], priced, dropped))
            except FOREIGN as error:
                store.refuse_record(cell, "scores", f"no row can be made from it and cost.json: {error!r}")
        failure = store.read_record(cell, RECORD)
        if failure is not None and str(failure["samples"]) not in (scores or {}):
            gammas = [cell.guidance, *cell.guidance.segments]
            dropped = any(one.gamma_strong or one.gamma_weak or RULES[one.rule].drops_path for one in gammas)
            failed.append(_row(cell, failure["samples"], failure, {}, dropped, failure["reason"]))
            rows.append(failed[-1])
    if not failed:
        return pd.DataFrame(rows)
    measured = [row for row in rows if not row["failed"]]
    columns = dict.fromkeys(name for row in [*measured, *failed] for name in row)
    table = pd.DataFrame(rows, columns=list(columns))
    return table.astype({name: "Int64" for name in WHOLE if name in table})


def _check_columns(scored: dict[str, Any], others: dict[str, Any]) -> None:
    """Raises UserError for a user's metric that is called as another column is."""
    for key in METRICS.origins:
        if key in scored and key in others:
            raise UserError(
                f"rows have a column {key} that is no metric",
                where=METRICS.origin(key).text,
                fix="give the metric another key",
            )


def _row(
    cell: Cell, samples: int, made_by: dict[str, Any], measured: dict[str, Any], dropped: bool, failed: str = ""
) -> dict[str, Any]:
    return {
        "schema": SCHEMA_VERSION,
        "cell": cell_id(cell),
        **_settings(cell, dropped),
        "samples": samples,
        "failed": failed,
        **measured,
        **_made_by(cell, made_by),
    }


def _settings(cell: Cell, dropped: bool) -> dict[str, Any]:
    model, channels = catalogue.entry(cell.model), cell.guidance.channels
    return {
        "model": cell.model,
        "family": model.family.name,
        "weights": "random" if model.random else "trained",
        "iterations": model.iterations,
        "auxiliary_iterations": model.auxiliary_iterations,
        "trained_sparse": model.trained_sparse,
        "dropped_tokens": "no" if not dropped else "trained for it" if model.trained_sparse else "not trained for it",
        "guided_channels": channels or model.family.guided_channels or model.architecture.in_channels,
        **settings(cell),
        "prompts": load_prompts(cell.prompts).describe() if cell.prompts else "",
    }


def _cost(cell: Cell, cost: dict[str, Any]) -> dict[str, Any]:
    # A step of EDM's Heun is two evaluations; what is given per step is per evaluation of the guided prediction.
    # Records from before `evaluations` was kept are of samplers that come with sgbench.
    steps = cost.get("evaluations") or SAMPLERS[cell.sampler.name].evaluations(cell.sampler.steps)
    measured = cost["measured"]
    seconds, peak = measured["seconds_per_image"], measured["peak_bytes"]
    decoding = cost.get("decode_macs_per_image")
    return {
        "gmacs_per_step": cost["macs_per_image"] / steps / 1e9,
        "gmacs_per_image": cost["macs_per_image"] / 1e9,
        # Of a rule that stops guidance images differ in cost.
        **({"gmacs_per_image_sd": cost["macs_per_image_sd"] / 1e9} if "macs_per_image_sd" in cost else {}),
        "gflops_per_image": 2 * cost["macs_per_image"] / 1e9,
        "paper_gmacs_per_step": cost["paper_per_image"] / steps / 1e9,
        "paper_gmacs_per_image": cost["paper_per_image"] / 1e9,
        "seconds_per_image": seconds["median"],
        "seconds_q25": seconds["lower_quartile"],
        "seconds_q75": seconds["upper_quartile"],
        "images_per_second": measured["images_per_second"],
        "decode_gmacs_per_image": None if decoding is None else decoding / 1e9,
        "decode_seconds_per_image": measured.get("decode_seconds_per_image", 0.0),
        "batch": measured["batch"],
        "peak_mib": None if peak is None else peak / 2**20,
        "joules_per_image": measured["joules_per_image"],
        "device": measured["device"]["name"],
        "threads": measured["device"]["threads"],
        "other_devices": measured["other_devices"],
    }


def _scores(scores: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for metric in METRICS:
        if metric not in scores:
            continue
        found = scores[metric]
        row[metric] = found["value"]
        row[f"{metric}_se"] = found["standard_error"]
        if METRICS[metric].corrected:
            row[f"{metric}_corrected"] = found["corrected"]
        if "floor" in found:
            row[f"{metric}_floor"] = found["floor"]
            row[f"{metric}_floor_sd"] = found["floor_sd"]
        for group, part in found.get("groups", {}).items():
            row[f"{metric}[{group}]"] = part["value"]
            row[f"{metric}[{group}]_se"] = part["standard_error"]
        if "distances" in found:
            spread = np.percentile(found["distances"], PERCENTILES)
            row[f"{metric}_percentiles"] = " ".join(f"{p:.5g}" for p in spread)
        row[f"{metric}_replicates"] = " ".join(f"{r:.7g}" for r in found["replicates"])
        row[f"{metric}_protocol"] = found["protocol_id"]
    return row


def _made_by(cell: Cell, made_by: dict[str, Any]) -> dict[str, Any]:
    checkpoints = cell_record(cell)["checkpoints"]
    assert isinstance(checkpoints, dict)
    return {
        "checkpoint_sha256": checkpoints["main"],
        "auxiliary_sha256": checkpoints.get("auxiliary"),
        "autoencoder_sha256": checkpoints.get("autoencoder"),
        "text_encoder_sha256": checkpoints.get("text_encoder"),
        "sgbench": made_by["sgbench"],
        "commit": made_by["commit"],
        "dirty": made_by["dirty"],
        "torch": made_by["torch"],
    }
