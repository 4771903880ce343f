"""A model family: its network, prediction and clock, and how published configs and checkpoints read. No torch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
# Inner over outer width of the MLPs of DiT and its successors.
MLP_RATIO = 4.0
# Arguments that are looked at and make no difference: other networks are refused.
CHECKED = ("class_dropout_prob", "mlp_ratio")
# The fewest blocks among which there is TREAD's own route.
SHALLOWEST = 6


# Keys of a written-out model: in place of a size letter and its patch, and those that its data decide.
SHAPE_KEYS = ("depth", "width", "heads", "patch")
DATA_KEYS = ("classes", "channels", "latent_side")


class Request(NamedTuple):
    """A model requested by size: a letter or a size of its own, patch, side of the latent, and what else it is to have.

    None stands for the family's own. A family with one published size may be given neither letter nor size.
    """

    letter: str
    patch: int
    side: int
    routes: Routes | None
    own: Size | None = None
    classes: int | None = None
    channels: int | None = None

    @property
    def size(self) -> Size:
        return self.own or SIZES[self.letter]


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
    keys: tuple[str, ...] = (*SHAPE_KEYS, *DATA_KEYS)
    """Keys of a written-out model that mean something here."""
    fixed: Mapping[str, object] = field(default_factory=dict)
    """Constructor arguments that the network has at one value only."""
    unused: tuple[str, ...] = ()
    """Constructor arguments that make no difference to a trained network."""
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
    """The sizes that published configs of class-conditional families have in common.

    Raises KeyError for one that is missing, ValueError for one that is no size or that the networks do not have.
    """
    side = next((key for key in ("input_size", "img_resolution", "context_size") if key in config), "input_size")
    channels = "img_channels" if "img_channels" in config else "in_channels"
    if config.get("class_dropout_prob", 0.1) == 0:
        raise ValueError("class_dropout_prob is 0, and networks without a null class are not supported")
    if config.get("mlp_ratio", MLP_RATIO) != MLP_RATIO:
        raise ValueError(f"mlp_ratio is {config['mlp_ratio']!r}, and only {MLP_RATIO:g} is supported")
    return {
        "input_size": whole(config, side),
        "patch_size": whole(config, "patch_size", 2),
        "in_channels": whole(config, channels, LATENT_CHANNELS),
        "hidden_size": whole(config, "hidden_size"),
        "num_heads": whole(config, "num_heads"),
        "num_classes": whole(config, "num_classes", CLASSES),
    }


def whole(config: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """A number of a config. Raises KeyError where it is missing and has no default, ValueError for anything else."""
    value = config[key] if default is None else config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{key} is {value!r}, which is not a whole number above 0")
    return value


def flag(config: Mapping[str, Any], key: str, default: bool) -> bool:
    """A switch of a config. Raises ValueError for anything but true and false."""
    value = config.get(key, default)
    if not isinstance(value, bool):
        raise ValueError(f"{key} is {value!r}, which is neither true nor false")
    return value


def published(request: Request) -> dict[str, Any]:
    """A published config of that size, of a class-conditional latent model: for ImageNet where nothing else is said."""
    depth, width, heads = request.size
    data = {"num_classes": request.classes or CLASSES, "in_channels": request.channels or LATENT_CHANNELS}
    sizes = {"input_size": request.side, "patch_size": request.patch}
    return sizes | data | {"depth": depth, "hidden_size": width, "num_heads": heads}


def tread_route(depth: int) -> Routes:
    """TREAD's own route. Raises ValueError for a network that is too shallow for it."""
    if depth < SHALLOWEST:
        what = "the published route, from block 2 to the fourth from the end"
        raise ValueError(f"{what}, needs depth {SHALLOWEST}, not {depth}: give a route")
    return ((2, depth - 4),)
