"""Internal Guidance from a published checkpoint's form to a report: a forward with two outputs is one call."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from sgbench import api
from sgbench.cells.closed_form import kept_macs
from sgbench.models import catalogue
from sgbench.networks.denoiser import build
from sgbench.results.store import Store
from sgbench.suite.sweep import expand
from tests.stored import stored_images

Command = Callable[..., tuple[int, str, str]]
SIZE = {"size": "S/4", "resolution": 64}
STEPS, SAMPLES = 4, 3


def suite_text(family: str, weights: Path | str, *sweep: dict[str, object]) -> str:
    return yaml.safe_dump(
        {
            "suite": "inner",
            "title": "Internal Guidance",
            "seed": 3,
            "samples": SAMPLES,
            "metrics": [],
            "autoencoder": "none",
            "model": {"family": family, **SIZE, "weights": str(weights)},
            "sampler": {"name": "euler-maruyama", "steps": STEPS},
            "sweep": list(sweep),
        },
        sort_keys=False,
    )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of training, whose averaged weights count; every parameter matters."""
    made = build(catalogue.entry("ig-sit S/4 64 weights=random").architecture)
    for number, parameter in enumerate(made.parameters()):
        parameter.data.normal_(std=0.05, generator=torch.Generator().manual_seed(number))
    path = tmp_path_factory.mktemp("weights") / "epoch-799.pt"
    raw = {name: torch.zeros_like(tensor) for name, tensor in made.state_dict().items()}
    torch.save({"model": raw, "ema": made.state_dict(), "steps": 4_000_000}, path)
    return path


@pytest.mark.slow
def test_bench_draws_both_predictions_in_one_call(sgbench: Command, checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    entries = (
        {"guidance": "none"},
        {"guidance": "ig"},
        {"guidance": "ig", "scale": 1.9, "interval": "noise 0.3 to 0.8"},
        {"guidance": "cfg", "scale": 1.4},
    )
    path.write_text(suite_text("ig-sit", checkpoint, *entries))
    folders = ("--results", tmp_path / "results", "--reports", tmp_path / "reports")
    status, out, err = sgbench("bench", path, *folders, "--json")
    assert status == 0, err
    document = json.loads(out.splitlines()[-1])
    assert (document["run"]["images_made"], document["report"]["cells"]) == (4 * SAMPLES, 4)
    suite = api.load_suite(path)
    store, cells = Store(tmp_path / "results", suite.suite), expand(suite)
    rows = store.read_rows()
    architecture = catalogue.entry(cells[0].model).architecture
    plain, both = (kept_macs(architecture, architecture.grid_tokens, inner=inner).macs for inner in (False, True))
    # Times of the four steps: 1, 0.68, 0.36 and 0.04.
    expected = [4 * plain, 4 * both, 2 * both + 2 * plain, 8 * plain]
    by_rule = dict(zip(rows["cell"], rows["gmacs_per_image"] * 1e9, strict=True))
    assert sorted(by_rule.values()) == pytest.approx(sorted(expected), rel=1e-12)
    assert rows["scale"].max() == 1.9
    assert 1.4 in rows[rows["guidance"] == "ig"]["scale"].tolist()
    images = [stored_images(store, cell, SAMPLES) for cell in cells]
    assert len({part.tobytes() for part in images if part is not None}) == 4
    assert all(isinstance(part, np.ndarray) for part in images)


@pytest.mark.slow
def test_the_checkpoint_converts_and_is_recognised(sgbench: Command, checkpoint: Path, tmp_path: Path) -> None:
    converted = tmp_path / "ig.safetensors"
    status, _, err = sgbench("models", "convert", checkpoint, converted)
    assert status == 0, err
    for file in (checkpoint, converted):
        found = json.loads(sgbench("models", "info", file, "--json")[1])
        assert (found["families"], found["depth"], found["width"]) == (["ig-sit"], 12, 384)


def refused(sgbench: Command, tmp_path: Path, *suite: object) -> str:
    path = tmp_path / "suite.yaml"
    path.write_text(suite_text(*suite))  # type: ignore[arg-type]
    status, _, err = sgbench("run", path, "--results", tmp_path / "results", "--device", "cpu")
    assert status == 1
    assert "Traceback" not in err
    return next(line for line in err.splitlines() if line.startswith("sgbench: "))


def test_models_without_an_inner_head_are_refused(sgbench: Command, tmp_path: Path) -> None:
    for family in ("repa-sit", "sprint"):
        found = refused(sgbench, tmp_path, family, "random", {"guidance": "ig"})
        assert "IG needs the prediction of an inner head" in found
        assert "choose another rule, or a model with an inner head" in found


@pytest.mark.slow
def test_weights_with_an_inner_head_are_of_no_other_family(sgbench: Command, checkpoint: Path, tmp_path: Path) -> None:
    found = refused(sgbench, tmp_path, "repa-sit", checkpoint, {"guidance": "none"})
    assert "the file has parts that the network has not: final_layer_xr" in found
