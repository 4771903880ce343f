"""Inception-v3 of 2015 behind two resizes: ADM's evaluator (TensorFlow 1) and clean-fid.

The blocks are those of torch-fidelity's port of the graph; here they are only put in order. `spatial` is what sFID
is measured in: the first seven channels of `mixed_6/conv` (torch-fidelity's Mixed_6d.branch1x1), 17 x 17, channels
last, as ADM's evaluator flattens them. `logits` are without bias, as the Inception Score is defined there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from cleanfid.resize import make_resizer
from torch import Tensor, nn
from torch_fidelity import feature_extractor_inceptionv3 as port
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from sgbench.networks.checkpoints import load_strict, read_state

SIDE = 299
SPATIAL_BLOCK, SPATIAL_CHANNELS = "Mixed_6d", 7
Resize = Callable[[Tensor], Tensor]


class InceptionFeatures(nn.Module):
    """Images uint8 (n, 3, H, W) to `features` (n, 2048), `spatial` (n, 2023) and `logits` (n, 1008)."""

    def __init__(self, state: dict[str, Tensor], where: str, resize: Resize) -> None:
        super().__init__()
        self.network = nn.ModuleDict(network_layers())
        load_strict(self.network, state, where)
        self.resize = resize

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """All outputs of one batch."""
        x = (self.resize(images) - 128) / 128
        for name, layer in self.network.items():
            if name == SPATIAL_BLOCK:
                spatial = layer.get_submodule("branch1x1")(x)[:, :SPATIAL_CHANNELS].permute(0, 2, 3, 1).flatten(1)
            if name != "fc":
                x = layer(x)
        features = torch.flatten(x, 1)
        return {
            "features": features,
            "spatial": spatial,
            "logits": features @ self.network["fc"].get_parameter("weight").T,
        }


def network_layers() -> dict[str, nn.Module]:
    """torch-fidelity's blocks in the order in which they are called, under the names of its weights."""
    return {
        "Conv2d_1a_3x3": port.BasicConv2d(3, 32, kernel_size=3, stride=2),
        "Conv2d_2a_3x3": port.BasicConv2d(32, 32, kernel_size=3),
        "Conv2d_2b_3x3": port.BasicConv2d(32, 64, kernel_size=3, padding=1),
        "MaxPool_1": nn.MaxPool2d(kernel_size=3, stride=2),
        "Conv2d_3b_1x1": port.BasicConv2d(64, 80, kernel_size=1),
        "Conv2d_4a_3x3": port.BasicConv2d(80, 192, kernel_size=3),
        "MaxPool_2": nn.MaxPool2d(kernel_size=3, stride=2),
        "Mixed_5b": port.InceptionA(192, pool_features=32),
        "Mixed_5c": port.InceptionA(256, pool_features=64),
        "Mixed_5d": port.InceptionA(288, pool_features=64),
        "Mixed_6a": port.InceptionB(288),
        "Mixed_6b": port.InceptionC(768, channels_7x7=128),
        "Mixed_6c": port.InceptionC(768, channels_7x7=160),
        "Mixed_6d": port.InceptionC(768, channels_7x7=160),
        "Mixed_6e": port.InceptionC(768, channels_7x7=192),
        "Mixed_7a": port.InceptionD(768),
        "Mixed_7b": port.InceptionE_1(1280),
        "Mixed_7c": port.InceptionE_2(2048),
        "AvgPool": nn.AdaptiveAvgPool2d(output_size=(1, 1)),
        "fc": nn.Linear(2048, 1008),
    }


def tensorflow_resize(images: Tensor) -> Tensor:
    """To 299 pixels as TensorFlow 1's `ResizeBilinear` does inside ADM's graph."""
    return interpolate_bilinear_2d_like_tensorflow1x(images.float(), size=(SIDE, SIDE), align_corners=False)


def clean_resize(images: Tensor) -> Tensor:
    """To 299 pixels as clean-fid does: each channel in float by PIL, bicubic and antialiased, never quantised."""
    resize = make_resizer("PIL", False, "bicubic", (SIDE, SIDE))
    resized = [resize(image) for image in images.permute(0, 2, 3, 1).cpu().numpy()]
    return torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).to(images.device)


def load(path: Path, device: torch.device) -> InceptionFeatures:
    """As ADM's evaluator sees images."""
    return _load(path, device, tensorflow_resize)


def load_clean(path: Path, device: torch.device) -> InceptionFeatures:
    """As clean-fid sees images."""
    return _load(path, device, clean_resize)


def _load(path: Path, device: torch.device, resize: Resize) -> InceptionFeatures:
    return InceptionFeatures(read_state(path), str(path), resize).eval().requires_grad_(False).to(device)
