"""CLIP ViT-L/14 at 336 pixels (MIT) by open_clip: the image embedding of length one, which CMMD compares.

OpenAI trained with an approximation of GELU; weights read from a file do not say so, so the configuration does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgbench.metrics.instrument import Extractor, WeightFile, Weights

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor

    from sgbench.metrics.extract import Network

MODEL = "ViT-L-14-336-quickgelu"


def load(paths: list[Path], device: torch.device) -> Network:
    """Images uint8 (n, 3, H, W) to `features` (n, 768), each of length one; weights under open_clip's names."""
    import open_clip
    import torch
    from torch.nn import functional as F

    from sgbench.networks.checkpoints import load_strict, read_state

    network = open_clip.create_model(MODEL, pretrained=None, device="cpu")
    load_strict(network, read_state(paths[0]), str(paths[0]))
    network = network.eval().requires_grad_(False).to(device)
    side = int(network.visual.image_size[0])
    published = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    mean, deviation = ((torch.tensor(x)[:, None, None] * 255).to(device) for x in published)

    def outputs(images: Tensor) -> dict[str, Tensor]:
        resized = F.interpolate(images.float(), size=(side, side), mode="bicubic", antialias=True).clamp(0, 255)
        return {"features": network.encode_image((resized - mean) / deviation, normalize=True)}

    return outputs


WEIGHTS = WeightFile(
    "open_clip_model.safetensors",
    "hf://timm/vit_large_patch14_clip_336.openai/open_clip_model.safetensors",
    "MIT",
    1_711_800_000,
)
EXTRACTORS = (
    Extractor(
        "clip",
        "CLIP ViT-L/14 at 336 pixels, image embedding of length one",
        (Weights("clip", "cmmd", (WEIGHTS,)),),
        "RGB, bicubic (torch, antialiased) to 336 x 336, CLIP mean and deviation",
        191.0,
        ("radford2021clip", "ilharco2021openclip"),
        load=load,
        widths={"features": 768},
    ),
)
