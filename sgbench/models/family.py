"""A model family: its network, prediction and clock, and how published configs and checkpoints read. No torch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sgbench.base.choices import require_choice
from sgbench.models.architecture import Architecture, Routes

Prediction = Literal["velocity", "velocity-from-noise", "edm", "epsilon"]
"""velocity: noise - image, t = 1 is noise. velocity-from-noise: image - noise, t = 1 is the image. edm: the raw
network of a preconditioned denoiser (arXiv 2206.00364). epsilon: noise of a 1000-step linear-beta process."""
Shapes = Mapping[str, Sequence[int]]
"""Shapes of the tensors in a state dict, by name."""


class Size(NamedTuple):
    """Depth, width and heads of a size letter."""

    depth: int
    width: int
    heads: int


# arXiv 2212.09748, table 1; SiT, TREAD and MaskDiT use the same letters.
SIZES = {"S": Size(12, 384, 6), "B": Size(12, 768, 12), "L": Size(24, 1024, 16), "XL": Size(28, 1152, 16)}
SD_VAE = "stabilityai/sd-vae-ft-ema"
LATENT_CHANNELS = 4
LATENT_SHRINK = 8
CLASSES = 1000


class Request(NamedTuple):
    """A model requested by size: letter, patch, side of the latent, routes (None: the family's own)."""

    letter: str
    patch: int
    side: int
    routes: Routes | None

    @property
    def size(self) -> Size:
        return SIZES[self.letter]


@dataclass(frozen=True)
class Family:
    """One published family."""

    name: str
    title: str
    source: str
    architecture: type[Architecture]
    """The record of its network."""
    prediction: Prediction
    drops: str
    """Which tokens are dropped where, in a few words."""
    samplers: tuple[str, ...]
    """Samplers for its prediction; the first is the one it was published with."""
    from_config: Callable[[Mapping[str, Any]], Architecture]
    """The record from the arguments of the published constructor. Raises KeyError or ValueError."""
    sized: Callable[[Request], Architecture]
    """The record of a published size. Raises ValueError for one that the family does not have."""
    from_folder: Callable[[Path, Routes | None, int | None], Architecture] | None = None
    """The record of a folder in diffusers' layout, with routes (None: the family's own) at a resolution. Raises
    UserError. None unless models come as such pipelines, which bring their own text encoder and decoder."""
    telltales: tuple[str, ...] = ()
    """Constructor arguments by which a config is recognised; where two families fit, the lower rank wins."""
    fits: Callable[[Shapes], bool] = lambda shapes: True
    """Whether weights of the network may be of this family, where families share the network."""
    works: tuple[str, ...] = ()
    """What to cite: keys of `report/citations/references.bib`."""
    rank: int = 1000
    """Its place in lists; of equals, the first by name."""
    sigma_data: float = 0.5
    guided_channels: int | None = None
    """Channels that the published sampler guides; None for all."""
    unused_half: bool = False
    """Whether published weights also predict a variance that their sampler never uses."""
    float64_state: bool = False
    """Whether the published sampler keeps its state in float64 (EDM's always does)."""
    null_class: bool = True
    """Whether conditions were dropped in training, so that there is an unconditional prediction."""
    trained_sparse: bool = True
    """Whether tokens were dropped in training."""
    text_encoder: str = ""
    """The default text encoder; empty where the model reads captions itself."""
    autoencoder: str = SD_VAE
    """The default decoder of latents."""
    note: str = ""

    def __post_init__(self) -> None:
        require_choice(self.prediction, Prediction, "Family.prediction")

    @property
    def text(self) -> bool:
        """Whether images are generated from prompts."""
        return self.architecture.conditions != "classes"

    @property
    def pipeline(self) -> bool:
        """Whether a model is a folder of diffusers' layout."""
        return self.from_folder is not None


def backbone(config: Mapping[str, Any]) -> dict[str, int]:
    """The sizes that published configs of class-conditional families have in common."""
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


def published(request: Request) -> dict[str, Any]:
    """A published config of that size, of a class-conditional latent model for ImageNet."""
    depth, width, heads = request.size
    sizes = {"input_size": request.side, "patch_size": request.patch}
    return sizes | {"depth": depth, "hidden_size": width, "num_heads": heads}
