"""Fixtures shared by all tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sgbench.models import catalogue
from sgbench.models.architecture import (
    AnyArchitecture,
    DiTArchitecture,
    MaskDiTArchitecture,
    MDTv2Architecture,
    SprintArchitecture,
)
from sgbench.models.build import Network, build
from sgbench.models.catalogue import Checkpoint, Entry
from sgbench.models.families import FAMILIES
from sgbench.sampling.conditions import ClassConditions
from sgbench.sampling.networks import Networks
from sgbench.sampling.program import _call_counts, program

BASE: dict[str, Any] = {
    "suite": "tiny",
    "title": "A tiny suite",
    "seed": 3,
    "samples": 20,
    "labels": "balanced",
    "dtype": "float32",
    "reference": "fashion-mnist",
    "metrics": ["fd", "precision", "recall", "label_agreement"],
    "model": "fashion-routing",
    "sampler": {"name": "euler", "steps": 2},
    "sweep": [
        {"guidance": "cfg", "scale": 1.5},
        {"guidance": "sg", "gamma_strong": 0, "gamma_weak": [0.5, 0.9], "scale": 2},
    ],
}


@pytest.fixture(scope="session")
def suite_base() -> dict[str, Any]:
    """What the small suite file holds unless a test says otherwise."""
    return dict(BASE)


@pytest.fixture
def suite_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a small suite file, with keys replaced by the arguments; None removes a key."""

    def write(**changes: Any) -> Path:
        content = {key: value for key, value in {**BASE, **changes}.items() if value is not None}
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return write


# Networks small enough for property tests, under names that suites could use

Tiny = Callable[[str, int], tuple[str, Networks]]
SIZES = {"patch_size": 2, "in_channels": 4, "hidden_size": 16, "num_heads": 2, "num_classes": 5}


def architecture(family: str, side: int) -> AnyArchitecture:
    """A record of the family's kind with a few blocks; `side` is that of the input."""
    if family == "sprint":
        return SprintArchitecture(**SIZES, input_size=side, depth=4, encoder_depth=1, middle_depth=2, decoder_depth=1)
    if family == "maskdit":
        light = {"decoder_hidden_size": 8, "decoder_depth": 1, "decoder_num_heads": 2}
        return MaskDiTArchitecture(**SIZES, **light, input_size=side, depth=3)
    if family == "mdtv2":
        return MDTv2Architecture(**SIZES, input_size=side, out_channels=8, depth=5, decoder_depth=1)
    out = 8 if family == "dit" else 4
    return DiTArchitecture(**SIZES, input_size=side, out_channels=out, depth=4, routes=((1, 2),))


def network(record: AnyArchitecture, seed: int) -> Network:
    """With every parameter moved: modulation and output start at zero and would hide everything."""
    built = build(record).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for parameter in built.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.15)
    return built


@pytest.fixture(scope="module")
def tiny() -> Iterator[Tiny]:
    """A model of a family by (family, seed): its name in cells, its networks. The seed also decides the size."""
    made: dict[str, tuple[Entry, Networks]] = {}
    real = catalogue.entry

    def make(family: str, seed: int) -> tuple[str, Networks]:
        name = f"tiny-{family}-{seed}"
        if name not in made:
            record = architecture(family, 8 if seed % 2 else 16)
            checkpoint = Checkpoint("random")
            entry = Entry(name, name, FAMILIES[family], record, checkpoint, checkpoint, in_pixels=True)
            conditions = ClassConditions(SIZES["num_classes"], torch.device("cpu"))
            made[name] = entry, Networks(network(record, seed), network(record, seed + 1000), conditions)
        return name, made[name][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "entry", lambda name, where="": made[name][0] if name in made else real(name, where))
        yield make
    # What was worked out for these names must not outlive them.
    program.cache_clear()
    _call_counts.cache_clear()
