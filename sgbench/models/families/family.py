"""What a model family is: which network, what it predicts, on which clock, and how published configs read. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sgbench.base.choices import require_choice
from sgbench.models.architectures import Architecture, DiTArchitecture

Route = tuple[int, int]

Prediction = Literal["velocity", "velocity-from-noise", "edm", "epsilon"]
"""velocity: noise - image, t = 1 is noise. velocity-from-noise: image - noise, t = 1 is the image. edm: the raw
network of a preconditioned denoiser (arXiv 2206.00364). epsilon: noise of a 1000-step linear-beta process."""


class Size(NamedTuple):
    """Depth, width and heads behind a letter."""

    depth: int
    width: int
    heads: int


# arXiv 2212.09748, table 1; SiT, TREAD and MaskDiT use the same letters.
SIZES = {
    "S": Size(12, 384, 6),
    "B": Size(12, 768, 12),
    "L": Size(24, 1024, 16),
    "XL": Size(28, 1152, 16),
}
SD_VAE = "stabilityai/sd-vae-ft-ema"
LATENT_CHANNELS = 4
LATENT_SHRINK = 8
CLASSES = 1000


class Request(NamedTuple):
    """A model asked for by size: letter, patch, side of the latent, routes (None: the family's own)."""

    letter: str
    patch: int
    side: int
    routes: tuple[Route, ...] | None

    @property
    def size(self) -> Size:
        return SIZES[self.letter]


@dataclass(frozen=True)
class Family:
    """One published family."""

    name: str
    title: str
    source: str
    prediction: Prediction
    drops: str
    """Which tokens stop working where, in a few words."""
    samplers: tuple[str, ...]
    """Samplers that understand the prediction; the first is the one the family is published with."""
    from_config: Callable[[Mapping[str, Any]], Architecture]
    sized: Callable[[Request], Architecture]
    sigma_data: float = 0.5
    guided_channels: int | None = None
    """Channels that the published sampler guides; None for all."""
    unused_half: bool = False
    """Whether published weights predict a variance, too, that their sampler never uses."""
    float64_state: bool = False
    """Whether the published sampler keeps its state in float64 (EDM's always does)."""
    null_class: bool = True
    """Whether training dropped the condition now and then, so that there is an unconditional prediction."""
    trained_sparse: bool = True
    text: bool = False
    pipeline: bool = False
    """Whether a model is a folder of diffusers' layout that brings its own text encoder and decoder."""
    text_encoder: str = ""
    """What reads captions unless a suite says otherwise; empty where the model reads them itself."""
    autoencoder: str = SD_VAE
    """What decodes latents unless a suite says otherwise."""
    note: str = ""
    works: tuple[str, ...] = ()
    """What to cite: keys of `report/citations/references.bib`."""
    telltales: tuple[str, ...] = ()
    """Arguments of the published constructor that no other family has."""

    def __post_init__(self) -> None:
        require_choice(self.prediction, Prediction, "Family.prediction")


def backbone(config: Mapping[str, Any]) -> dict[str, int]:
    """The sizes that all class-conditional families name alike, or nearly so."""
    sides = (config[key] for key in ("input_size", "img_resolution", "context_size") if key in config)
    side = next(sides, None)
    if side is None:
        raise KeyError("input_size")
    return {
        "input_size": side,
        "patch_size": config.get("patch_size", 2),
        "in_channels": config.get("in_channels", config.get("img_channels", LATENT_CHANNELS)),
        "hidden_size": config["hidden_size"],
        "num_heads": config["num_heads"],
        "num_classes": config.get("num_classes", CLASSES),
    }


def dit_from_config(config: Mapping[str, Any], learn_sigma: bool, sigma_used: bool = True) -> DiTArchitecture:
    """A DiT record from the published constructor's arguments; an output that nobody uses is left out."""
    sizes = backbone(config)
    doubled = 2 if config.get("learn_sigma", learn_sigma) and sigma_used else 1
    routes = config.get("routes") or []
    return DiTArchitecture(
        **sizes,
        depth=config["depth"],
        out_channels=sizes["in_channels"] * doubled,
        routes=tuple((route["start_layer_idx"], route["end_layer_idx"]) for route in routes),
        trained_gamma=max((route["selection_ratio"] for route in routes), default=0.0),
    )


def sized_dit(request: Request, learn_sigma: bool, routes: tuple[Route, ...], trained_gamma: float) -> DiTArchitecture:
    """A DiT record of a published size."""
    return DiTArchitecture(
        **sized_backbone(request),
        depth=request.size.depth,
        out_channels=LATENT_CHANNELS * (2 if learn_sigma else 1),
        routes=request.routes if request.routes is not None else routes,
        trained_gamma=trained_gamma,
    )


def sized_backbone(request: Request) -> dict[str, int]:
    """The sizes of a class-conditional latent model for ImageNet."""
    return {
        "input_size": request.side,
        "patch_size": request.patch,
        "in_channels": LATENT_CHANNELS,
        "hidden_size": request.size.width,
        "num_heads": request.size.heads,
        "num_classes": CLASSES,
    }


def tread_route(depth: int) -> tuple[Route, ...]:
    """TREAD's published route: from block 2 to the fourth from the end (2..8 of 12, 2..24 of 28), both included."""
    return ((2, depth - 4),)
