"""DINOv2 ViT-L/14 (Apache-2.0) by timm, from the published state dict; the class token after the last norm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sgbench.base.errors import UserError
from sgbench.metrics.instrument import Extractor, WeightFile, Weights

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor

    from sgbench.metrics.extract import Network

SIDE, PATCH = 224, 14
OFFSET = 0.1
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
UNUSED = ("mask_token",)


def load(paths: list[Path], device: torch.device, depth: int = 24, heads: int = 16) -> Network:
    """Images uint8 (n, 3, H, W) to `features` (n, 1024), whose width is read from the weights."""
    import timm
    import torch
    from torch.nn import functional as F

    from sgbench.networks.checkpoints import load_strict, read_state

    state, where = read_state(paths[0]), str(paths[0])
    table = state.get("pos_embed")
    if table is None or table.dim() != 3:
        raise UserError("there is no position table in the weights", where=where, fix="give dinov2_vitl14_pretrain.pth")
    network = timm.models.VisionTransformer(
        img_size=SIDE,
        patch_size=PATCH,
        num_classes=0,
        global_pool="token",
        embed_dim=table.shape[-1],
        depth=depth,
        num_heads=heads,
        init_values=1.0,
    )
    load_strict(network, {**state, "pos_embed": stretch(table, SIDE // PATCH)}, where, UNUSED)
    network = network.eval().requires_grad_(False).to(device)
    mean, deviation = ((torch.tensor(x)[:, None, None] * 255).to(device) for x in (MEAN, DEVIATION))

    def outputs(images: Tensor) -> dict[str, Tensor]:
        resized = F.interpolate(images.float(), size=(SIDE, SIDE), mode="bicubic", antialias=True)
        return {"features": network((resized - mean) / deviation)}

    return outputs


def stretch(table: Tensor, side: int) -> Tensor:
    """A position table (1, 1 + M^2, D) for `side` x `side` patches.

    The published network stretches its 37 x 37 table by a scale factor that is off by a tenth of a patch, not to a
    target size. Features depend on that, so the table is stretched the same way before timm gets it.
    """
    import torch
    from torch.nn import functional as F

    place, patches = table[:, :1].float(), table[:, 1:].float()
    had = math.isqrt(patches.shape[1])
    grid = patches.reshape(1, had, had, -1).permute(0, 3, 1, 2)
    scale = (side + OFFSET) / had
    stretched = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat([place, stretched.permute(0, 2, 3, 1).reshape(1, side * side, -1)], dim=1)


WEIGHTS = WeightFile(
    "dinov2_vitl14_pretrain.pth",
    "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
    "Apache-2.0",
    1_217_586_395,
)
EXTRACTORS = (
    Extractor(
        "dinov2",
        "DINOv2 ViT-L/14, class token",
        (Weights("dinov2", "metrics that end in _dinov2", (WEIGHTS,)),),
        "RGB, bicubic (torch, antialiased) to 224 x 224, ImageNet mean and deviation",
        80.9,
        ("oquab2024dinov2", "wightman2019timm"),
        load=load,
        widths={"features": 1024},
    ),
)
