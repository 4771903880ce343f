"""Multiply-accumulates of one denoiser call, from the architecture alone. No torch.

Two conventions, both counting one multiply-accumulate as one:
- `macs`: everything fvcore counts, attention products included, LayerNorm 4 per element;
- `paper`: as in Table 2 of arXiv 2601.01608, without attention products, LayerNorm 2 per element.
`macs.py` measures the same numbers on the network; they must agree within 0.1 %.
"""

from __future__ import annotations

from typing import NamedTuple

from sgbench.models.architecture import DiTArchitecture, MaskDiTArchitecture

TIME_FREQUENCIES = 256


class Macs(NamedTuple):
    """Multiply-accumulates by what does them; LayerNorm as normalised elements."""

    linear: int
    attention: int
    normalised: int

    @property
    def macs(self) -> int:
        return self.linear + self.attention + 4 * self.normalised

    @property
    def paper(self) -> int:
        return self.linear + 2 * self.normalised

    def plus(self, other: Macs) -> Macs:
        """Element-wise sum."""
        return Macs(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def times(self, count: int) -> Macs:
        """Every part `count` times."""
        return Macs(*(count * part for part in self))


def kept_tokens(grid: int, gamma: float) -> int:
    """Tokens that do work at sparsity gamma: N - int(N gamma)."""
    return grid - int(grid * gamma)


def call_macs(architecture: DiTArchitecture | MaskDiTArchitecture, gamma: float) -> Macs:
    """One call for one image at sparsity gamma."""
    a = architecture
    grid, width = a.grid_tokens, a.hidden_size
    kept = kept_tokens(grid, gamma)
    patch = a.patch_size**2
    total = Macs(grid * patch * a.in_channels * width + TIME_FREQUENCIES * width + width * width, 0, 0)
    if isinstance(a, MaskDiTArchitecture):
        light = a.decoder_hidden_size
        total = total.plus(Macs(a.num_classes * width, 0, 0))
        total = total.plus(_block(kept, width, width).times(a.depth))
        total = total.plus(_final(kept, width, light, width))
        total = total.plus(_block(grid, light, width).times(a.decoder_depth))
        return total.plus(_final(grid, light, patch * a.out_channels, width))
    routed = sum(last - first + 1 for first, last in a.routes)
    total = total.plus(_block(kept, width, width).times(routed))
    total = total.plus(_block(grid, width, width).times(a.depth - routed))
    return total.plus(_final(grid, width, patch * a.out_channels, width))


def _block(tokens: int, width: int, condition: int) -> Macs:
    """Projections 4 n d^2, MLP 8 n d^2, modulation 6 c d; two attention products of n^2 d; two norms."""
    linear = 12 * tokens * width**2 + 6 * condition * width
    return Macs(linear, 2 * tokens**2 * width, 2 * tokens * width)


def _final(tokens: int, width: int, out: int, condition: int) -> Macs:
    return Macs(tokens * width * out + 2 * condition * width, 0, tokens * width)
