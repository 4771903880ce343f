"""DINOv2 ViT-L/14 (Apache-2.0) by timm, from the published state dict; the class token after the last norm.

The published network stretches its 37 x 37 position table to 16 x 16 with a scale factor that is off by a tenth of a
patch, not with a target size. Features depend on that, so the table is stretched the same way before timm gets it.
"""

from __future__ import annotations

import math
from pathlib import Path

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sgbench.base.errors import UserError
from sgbench.networks.checkpoints import load_strict, read_state

SIDE, PATCH = 224, 14
OFFSET = 0.1
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
UNUSED = ("mask_token",)


class DinoFeatures(nn.Module):
    """Images uint8 (n, 3, H, W) to `features` (n, width)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, state: dict[str, Tensor], where: str, depth: int = 24, heads: int = 16) -> None:
        super().__init__()
        table = state.get("pos_embed")
        if table is None or table.dim() != 3:
            raise UserError(
                "there is no position table in the weights", where=where, fix="give dinov2_vitl14_pretrain.pth"
            )
        self.network = timm.models.VisionTransformer(
            img_size=SIDE,
            patch_size=PATCH,
            num_classes=0,
            global_pool="token",
            embed_dim=table.shape[-1],
            depth=depth,
            num_heads=heads,
            init_values=1.0,
        )
        load_strict(self.network, {**state, "pos_embed": stretch(table, SIDE // PATCH)}, where, UNUSED)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None] * 255, persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None] * 255, persistent=False)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """The features of one batch."""
        resized = F.interpolate(images.float(), size=(SIDE, SIDE), mode="bicubic", antialias=True)
        return {"features": self.network((resized - self.mean) / self.deviation)}


def stretch(table: Tensor, side: int) -> Tensor:
    """A position table (1, 1 + M^2, D) for `side` x `side` patches, as the published code makes it."""
    place, patches = table[:, :1].float(), table[:, 1:].float()
    had = math.isqrt(patches.shape[1])
    grid = patches.reshape(1, had, had, -1).permute(0, 3, 1, 2)
    scale = (side + OFFSET) / had
    stretched = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat([place, stretched.permute(0, 2, 3, 1).reshape(1, side * side, -1)], dim=1)


def load(path: Path, device: torch.device) -> DinoFeatures:
    """The network from its weights."""
    return DinoFeatures(read_state(path), str(path)).eval().requires_grad_(False).to(device)
