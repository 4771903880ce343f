"""Written-out models of sizes of their own, for every family, and weights for them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from sgbench.models.architecture import Architecture
from sgbench.models.families import FAMILIES, recognise
from sgbench.models.family import SHAPE_KEYS
from sgbench.networks.denoiser import build

GOLDEN = Path(__file__).parent / "golden"
# Odd on purpose: no letter, no common number of classes or channels.
SHAPE = {"depth": 6, "width": 40, "heads": 5, "patch": 2}
DATA = {"classes": 7, "channels": 5, "latent_side": 12}
# Families of any depth and width.
SHAPED = [name for name, known in FAMILIES.items() if set(SHAPE_KEYS) <= set(known.keys)]


def sizes(family: str) -> dict[str, Any]:
    """Sizes of a model, in the keys that its family takes."""
    shape = SHAPE if family in SHAPED else {"size": "XL/2"}
    return {"family": family, **shape, **{key: value for key, value in DATA.items() if key in FAMILIES[family].keys}}


@cache
def recorded_configs() -> dict[str, list[dict[str, Any]]]:
    """The constructor's arguments in every golden file, by the families whose networks they make."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(GOLDEN.glob("*.safetensors")):
        with safe_open(path, "numpy") as file:
            config = json.loads(file.metadata()["config"])
        config = config.get("model", config)
        recorded = recognise(config, learned_sigma=False)
        for known in FAMILIES.values():
            # The constructors of REPA and of Internal Guidance have arguments of their own.
            own = not {"repa-sit", "ig-sit"}.isdisjoint((known.name, recorded.name))
            if known.name == recorded.name or (known.architecture is recorded.architecture and not own):
                found.setdefault(known.name, []).append(config)
    return found


def weights(record: Architecture) -> dict[str, torch.Tensor]:
    """A state dict with every parameter moved: modulation and output start at zero and would hide everything."""
    generator = torch.Generator().manual_seed(0)
    state = build(record).state_dict()
    moved = {k: v + 0.1 * torch.randn(v.shape, generator=generator) for k, v in state.items() if v.is_floating_point()}
    return state | moved
