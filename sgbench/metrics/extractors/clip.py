"""CLIP ViT-L/14 at 336 pixels (MIT) by open_clip: the image embedding of length one, which CMMD compares.

OpenAI trained with an approximation of GELU; weights read from a file do not say so, so the configuration does.
"""

from __future__ import annotations

from pathlib import Path

import open_clip
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sgbench.networks.checkpoints import load_strict, read_state

MODEL = "ViT-L-14-336-quickgelu"
MEAN, DEVIATION = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD


class ClipFeatures(nn.Module):
    """Images uint8 (n, 3, H, W) to `features` (n, width), each of length one."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: open_clip.CLIP) -> None:
        super().__init__()
        self.network = network
        self.side = int(network.visual.image_size[0])
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None] * 255, persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None] * 255, persistent=False)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """The features of one batch."""
        size = (self.side, self.side)
        resized = F.interpolate(images.float(), size=size, mode="bicubic", antialias=True).clamp(0, 255)
        return {"features": self.network.encode_image((resized - self.mean) / self.deviation, normalize=True)}


def load(path: Path, device: torch.device) -> ClipFeatures:
    """The network from its weights, under open_clip's names."""
    network = open_clip.create_model(MODEL, pretrained=None, device="cpu")
    load_strict(network, read_state(path), str(path))
    return ClipFeatures(network).eval().requires_grad_(False).to(device)
