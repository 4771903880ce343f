"""Whole recorded runs of the published samplers, drawn by the engine from cells; only noise and subsets are injected.

`sgbench models check` replays the same files with the samplers and networks alone.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sgbench.cells import randomness
from sgbench.cells.cell import Cell
from sgbench.cells.program import _call_counts, program
from sgbench.guidance.schedules import interval, scale_schedule
from sgbench.guidance.settings import Guidance
from sgbench.models import catalogue
from sgbench.models.catalogue import Checkpoint, ModelInfo
from sgbench.networks.check import open_golden, recorded_sampler
from sgbench.sampling import branch_calls, engine
from sgbench.sampling.conditions import ClassConditions
from sgbench.sampling.networks import Networks

RUNS = sorted((Path(__file__).parents[1] / "golden").glob("traj_*.safetensors"))
N = r"(\d+(?:\.\d+)?)"
CPU = torch.device("cpu")


def guidance_of(name: str) -> Guidance:
    """The cell's settings that a recorded case is named after."""
    if name == "none":
        return Guidance("none", channels=4)
    if found := re.fullmatch(rf"sg_{N}_{N}_{N}", name):
        strong, weak, scale = map(float, found.groups())
        return Guidance("sg", scale, strong, weak)
    if found := re.fullmatch(rf"pdg_{N}", name):
        return Guidance("pdg", float(found[1]))
    if found := re.fullmatch(rf"(cfg|ig)_{N}_interval_{N}_{N}", name):
        return Guidance(found[1], float(found[2]), interval=interval(f"noise {found[3]} to {found[4]}"))
    if found := re.fullmatch(rf"ig_{N}", name):
        return Guidance("ig", float(found[1]))
    found = re.fullmatch(rf"cfg_{N}(?:_power_cosine_{N})?(?:_first_(\d+)_channels)?", name)
    assert found is not None
    schedule = f"power-cosine {found[2]}" if found[2] else "constant"
    return Guidance("cfg", float(found[1]), scale_schedule=scale_schedule(schedule), channels=int(found[3] or 4))


CASES = [
    pytest.param(path, name, id=f"{path.stem.removeprefix('traj_')}-{name}")
    for path in RUNS
    for name in sorted(key.removeprefix("out/") for key in open_golden(path).tensors if key.startswith("out/"))
]


def test_every_run_is_here() -> None:
    assert len(RUNS) == 11
    assert len(CASES) == 27


@pytest.mark.parametrize(("path", "name"), CASES)
def test_the_engine_ends_where_the_published_sampler_did(
    path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = open_golden(path)
    recorded = str(golden.config["sampler"])
    family = replace(
        golden.family,
        prediction="edm" if recorded.startswith("EDM") else golden.family.prediction,
        float64_state="float64" in recorded,
    )
    architecture = golden.network.architecture
    entry = ModelInfo(path.stem, path.stem, family, architecture, Checkpoint("random"), None, in_pixels=True)
    monkeypatch.setattr(catalogue, "entry", lambda name, where="": entry)
    monkeypatch.setattr(engine, "labels_for", lambda cell, indices: golden.given)
    noise, tensors = golden.input("noise"), golden.tensors
    monkeypatch.setattr(randomness, "noise", lambda *_: noise.numpy())
    monkeypatch.setattr(randomness, "step_noise", lambda *draw: tensors["in/step_noise"][draw[-1]].numpy())
    if "in/ids_strong" in tensors:
        pairs = zip(tensors["in/ids_strong"], tensors["in/ids_weak"], strict=True)
        subsets = [[strong.numpy(), weak.numpy()] if name.startswith("sg") else [None, None] for strong, weak in pairs]
        monkeypatch.setattr(branch_calls, "draw_subsets", lambda *_: subsets)
    cell = Cell(path.stem, guidance_of(name), recorded_sampler(golden), 0, "balanced", "float32")
    try:
        conditions = ClassConditions(golden.network.architecture.num_classes, CPU)
        networks = Networks(golden.network, None, conditions)
        found = engine.final_state(cell, networks, range(len(noise)), CPU)
    finally:
        program.cache_clear()
        _call_counts.cache_clear()
    assert relative_error(found, tensors[f"out/{name}"]) < float(golden.config.get("tolerance", 1e-5))


def relative_error(found: Tensor, expected: Tensor) -> float:
    assert found.shape == expected.shape
    return float((found.double() - expected.double()).abs().max() / expected.abs().max())
