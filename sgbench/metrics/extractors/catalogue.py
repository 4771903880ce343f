"""Feature spaces as data: what each network is fed, what it gives, where its weights are. No torch."""

from __future__ import annotations

from typing import NamedTuple


class Extractor(NamedTuple):
    """A network that images are compared in."""

    name: str
    title: str
    weights: str
    """The entry of `sgbench weights` that it is loaded from."""
    inputs: str
    """How uint8 images become the network's input; part of every protocol."""
    widths: dict[str, int]
    """Width of each output that a metric may use."""
    half: bool
    """Whether features may be kept in half precision where `halved` finds that no distance moves by 1e-5."""
    gmacs: float
    """Multiply-accumulates an image, in billions, for estimates of time."""
    channels: int = 3
    """Channels the network takes; grey images are repeated to three, colour is never made grey."""
    works: tuple[str, ...] = ()
    """What to cite: keys of `report/citations/references.bib`."""


_LIST = (
    Extractor(
        "fashion-cnn",
        "the packaged classifier of Fashion-MNIST",
        "fashion-cnn",
        "32 x 32 grey, x / 127.5 - 1",
        {"features": 96, "classes": 1},
        half=False,
        gmacs=0.022,
        channels=1,
        works=("xiao2017fashionmnist",),
    ),
    Extractor(
        "lite0",
        "EfficientNet-Lite0, trained on ImageNet",
        "lite0",
        "RGB, bicubic (torch, antialiased) to 128 x 128, (x - 127) / 128",
        {"features": 1280},
        half=True,
        gmacs=0.13,
        works=("tan2019efficientnet", "deng2009imagenet", "wightman2019timm"),
    ),
    Extractor(
        "inception",
        "Inception-v3 of 2015 (TensorFlow graph), as torch-fidelity ports it",
        "inception",
        "RGB, TensorFlow-1 bilinear to 299 x 299, (x - 128) / 128",
        {"features": 2048, "spatial": 2023, "logits": 1008},
        half=True,
        gmacs=5.73,
        works=("szegedy2016inception", "obukhov2020torchfidelity"),
    ),
    Extractor(
        "inception-clean",
        "Inception-v3 of 2015, fed by clean-fid's resize",
        "inception",
        "RGB, clean-fid's resize (PIL bicubic in float, antialiased) to 299 x 299, (x - 128) / 128",
        {"features": 2048},
        half=True,
        gmacs=5.73,
        works=("szegedy2016inception", "obukhov2020torchfidelity", "parmar2022cleanfid"),
    ),
    Extractor(
        "dinov2",
        "DINOv2 ViT-L/14, class token",
        "dinov2",
        "RGB, bicubic (torch, antialiased) to 224 x 224, ImageNet mean and deviation",
        {"features": 1024},
        half=False,
        gmacs=80.9,
        works=("oquab2024dinov2", "wightman2019timm"),
    ),
    Extractor(
        "clip",
        "CLIP ViT-L/14 at 336 pixels, image embedding of length one",
        "clip",
        "RGB, bicubic (torch, antialiased) to 336 x 336, CLIP mean and deviation",
        {"features": 768},
        half=False,
        gmacs=191.0,
        works=("radford2021clip", "ilharco2021openclip"),
    ),
    Extractor(
        "lpips",
        "LPIPS 0.1 on VGG16, as torch-fidelity ports it",
        "lpips",
        "RGB, no resize, LPIPS mean and deviation",
        {},
        half=False,
        gmacs=40.4,
        works=("simonyan2015vgg", "obukhov2020torchfidelity"),
    ),
)
EXTRACTORS = {extractor.name: extractor for extractor in _LIST}
