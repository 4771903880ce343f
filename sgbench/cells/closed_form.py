"""Multiply-accumulates of one denoiser call, from the architecture alone. No torch."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import assert_never

from sgbench.guidance.perturbation import Perturbation
from sgbench.models.architecture import Architecture, Macs, total


def kept_tokens(grid: int, gamma: float) -> int:
    """Tokens that do work at sparsity gamma: N - int(N gamma)."""
    return grid - int(grid * gamma)


def call_macs(architecture: Architecture, gamma: float) -> Macs:
    """One call for one image at sparsity gamma; gamma 1 is SPRINT's path drop, where no token is kept."""
    return kept_macs(architecture, kept_tokens(architecture.grid_tokens, gamma))


@lru_cache(maxsize=4096)
def kept_macs(architecture: Architecture, kept: int, change: Perturbation | None = None) -> Macs:
    """One call for one image in which `kept` tokens do work and some blocks are perturbed."""
    whole = architecture.call_macs(kept)
    if change is None:
        return whole
    return total(whole, *(_difference(architecture, kept, layer, change) for layer in change.layers))


def _difference(architecture: Architecture, kept: int, layer: int, change: Perturbation) -> Macs:
    """What a perturbation adds to a block: skipping takes all, the identity takes the products of self-attention."""
    match change.kind:
        case "skip":
            return architecture.block_macs(kept)[layer].times(-1)
        case "identity":
            return Macs(0, -architecture.image_attention(layer, kept), 0)
        case "blur":
            if math.isinf(change.sigma):
                # A mean, which is not counted.
                return Macs(0, 0, 0)
            # Rows, then columns, of a separable blur of the full grid.
            grid = architecture.grid_tokens
            return Macs(2 * grid * math.isqrt(grid) * architecture.attention_width(layer), 0, 0)
        case _:
            assert_never(change.kind)
