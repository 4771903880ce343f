"""Inception-v3 of 2015 behind two resizes: ADM's evaluator (TensorFlow 1) and clean-fid.

The blocks are those of torch-fidelity's port of the graph; here they are only put in order. `spatial` is what sFID
is measured in: the first seven channels of `mixed_6/conv` (torch-fidelity's Mixed_6d.branch1x1), 17 x 17, channels
last, as ADM's evaluator flattens them. `logits` are without bias, as the Inception Score is defined there.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sgbench.metrics.instrument import Extractor, WeightFile, Weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch
    from torch import Tensor, nn

    from sgbench.metrics.extract import Network

SIDE = 299
SPATIAL_BLOCK, SPATIAL_CHANNELS = "Mixed_6d", 7


def load(paths: list[Path], device: torch.device, resize: Callable[[Tensor], Tensor]) -> Network:
    """Images uint8 (n, 3, H, W) to `features` (n, 2048), `spatial` (n, 2023) and `logits` (n, 1008)."""
    from torch import nn

    from sgbench.networks.checkpoints import load_strict, read_state

    network = nn.ModuleDict(network_layers())
    load_strict(network, read_state(paths[0]), str(paths[0]))
    network = network.eval().requires_grad_(False).to(device)

    def outputs(images: Tensor) -> dict[str, Tensor]:
        x = (resize(images) - 128) / 128
        for name, layer in network.items():
            if name == SPATIAL_BLOCK:
                spatial = layer.get_submodule("branch1x1")(x)[:, :SPATIAL_CHANNELS].permute(0, 2, 3, 1).flatten(1)
            if name != "fc":
                x = layer(x)
        features = x.flatten(1)
        logits = features @ network["fc"].get_parameter("weight").T
        return {"features": features, "spatial": spatial, "logits": logits}

    return outputs


def network_layers() -> dict[str, nn.Module]:
    """torch-fidelity's blocks in the order in which they are called, under the names of its weights."""
    from torch import nn
    from torch_fidelity import feature_extractor_inceptionv3 as port

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
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    return interpolate_bilinear_2d_like_tensorflow1x(images.float(), size=(SIDE, SIDE), align_corners=False)


def clean_resize(images: Tensor) -> Tensor:
    """To 299 pixels as clean-fid does: each channel in float by PIL, bicubic and antialiased, never quantised."""
    import numpy as np
    import torch
    from cleanfid.resize import make_resizer

    resize = make_resizer("PIL", False, "bicubic", (SIDE, SIDE))
    resized = [resize(image) for image in images.permute(0, 2, 3, 1).cpu().numpy()]
    return torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).to(images.device)


WEIGHTS = Weights(
    "inception",
    "fid, sfid, fid_clean, kid, inception_score; precision, recall, density and coverage of public references",
    (
        WeightFile(
            "weights-inception-2015-12-05-6726825d.pth",
            "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
            "Apache-2.0",
            95_700_000,
            "6726825d",
        ),
    ),
)
EXTRACTORS = (
    Extractor(
        "inception",
        "Inception-v3 of 2015 (TensorFlow graph), as torch-fidelity ports it",
        (WEIGHTS,),
        "RGB, TensorFlow-1 bilinear to 299 x 299, (x - 128) / 128",
        5.73,
        ("szegedy2016inception", "obukhov2020torchfidelity"),
        load=partial(load, resize=tensorflow_resize),
        widths={"features": 2048, "spatial": 2023, "logits": 1008},
        half=True,
    ),
    Extractor(
        "inception-clean",
        "Inception-v3 of 2015, fed by clean-fid's resize",
        (WEIGHTS,),
        "RGB, clean-fid's resize (PIL bicubic in float, antialiased) to 299 x 299, (x - 128) / 128",
        5.73,
        ("szegedy2016inception", "obukhov2020torchfidelity", "parmar2022cleanfid"),
        load=partial(load, resize=clean_resize),
        widths={"features": 2048},
        half=True,
    ),
)
