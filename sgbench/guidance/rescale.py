"""CFG-rescale, a post-processor of any rule: shrink the guided prediction towards the strong one's spread.

Lin et al., arXiv 2305.08891, section 3.4; on the family's prediction: velocity, noise, or EDM's denoised image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def rescale(guided: Tensor, strong: Tensor, share: float) -> Tensor:
    """guided (phi std(strong) / std(guided) + 1 - phi), deviations per sample over (C, H, W); phi = 0 is no change."""
    dims = tuple(range(1, guided.ndim))
    ratio = strong.std(dims, keepdim=True) / guided.std(dims, keepdim=True)
    return guided * (share * ratio + (1 - share))
