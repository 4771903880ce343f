"""What a user's model says of itself, so that a suite can plan, check, run and report it. No torch.

from sgbench.models.card import ModelCard

class Model(nn.Module):
    card = ModelCard(name="mine", shape=(3, 32, 32), tokens=64, classes=10, null=10, prediction="velocity")
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

from sgbench.base.registry import NAME, as_tuple
from sgbench.guidance.perturbation import MOST_BLOCKS
from sgbench.models.architecture import LARGEST, MOST_CLASSES
from sgbench.models.family import LATENT_SHRINK, SD_VAE, Prediction

if TYPE_CHECKING:
    from sgbench.models.architecture import Macs

IMAGE_CHANNELS: Final = (1, 3)


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """The facts of a model of classes or captions. Raises ValueError, with what to write, for facts that cannot be."""

    name: str
    """What reports call it."""
    shape: tuple[int, int, int]
    """(channels, height, width) of one sample: the x that it is called with."""
    tokens: int
    """Number of image tokens when none is dropped. `tokens` of a call holds indices below it."""
    prediction: Prediction
    """What it predicts, and with it the clock that t runs on. velocity: noise - image, t = 1 is noise.
    velocity-from-noise: image - noise, t = 1 is the image. epsilon: the noise, t is a timestep in 0..999. edm: the raw
    network of EDM's preconditioned denoiser, t is log(sigma) / 4."""
    classes: int | None = None
    """Number of classes, of a class-conditional model: `condition` holds indices below it, or `null`."""
    null: int | None = None
    """The class index of the null condition; None where it was trained without."""
    caption: tuple[int, int] | None = None
    """(tokens, channels) of a caption's embedding, of a text-to-image model; the empty text is the null condition."""
    text_encoder: str = ""
    """What embeds captions unless the suite says: a file or a hub id, or `none` for throughput benchmarks."""
    drops: str = ""
    """Where dropped tokens are left out, in a few words; empty where it cannot drop tokens."""
    trained_gamma: float = 0.0
    """Share of tokens dropped in training."""
    shrink: int = 1
    """Pixels of the image to one position of a sample, along a side: 1 where samples are images, 8 for most latents."""
    autoencoder: str = SD_VAE
    """What decodes latents unless the suite says: a folder in diffusers' layout or a hub id."""
    variance: bool = False
    """Whether it has as many output channels again, for the variance of a step."""
    sigma_data: float = 0.5
    """Of EDM's preconditioning."""
    blocks: int = 0
    """Number of blocks, all of one cost, whose attention or whose work the argument `change` perturbs; 0 for none."""
    width: int = 0
    """Width of the queries in each of these blocks, all heads together. Rules that perturb attention at random need it;
    0 where it is not said."""
    macs: Callable[[int], Macs] | None = None
    """Multiply-accumulates of one call for one image by the number of tokens kept. Without it, they are counted when
    the model first runs, and plans say so."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", as_tuple(self.shape))
        _require(isinstance(self.name, str) and NAME.fullmatch(self.name), "name", "letters, digits and any of . _ + -")
        whole = isinstance(self.shape, tuple) and len(self.shape) == 3 and all(map(_counts, self.shape))
        _require(whole and self.shape[1] == self.shape[2], "shape", "(channels, side, side) of a square sample")
        for key in ("tokens", "shrink"):
            _require(_counts(getattr(self, key)), key, f"a whole number above 0, at most {LARGEST:,}")
        object.__setattr__(self, "caption", as_tuple(self.caption))
        if self.caption is None:
            wanted = f"a whole number above 0, at most {MOST_CLASSES:,}, or `caption` in place of it"
            _require(_counts(self.classes, MOST_CLASSES), "classes", wanted)
        else:
            pair = isinstance(self.caption, tuple) and len(self.caption) == 2 and all(map(_counts, self.caption))
            _require(pair and self.classes is None, "caption", "(tokens, channels), and no classes beside it")
            _require(
                isinstance(self.text_encoder, str) and self.text_encoder, "text_encoder", "a file, a hub id, or none"
            )
        _require(self.prediction in get_args(Prediction), "prediction", f"one of {', '.join(get_args(Prediction))}")
        after = self.classes is not None and _counts(self.null, MOST_CLASSES, least=self.classes)
        _require(self.null is None or after, "null", f"an index after the classes, such as {self.classes}, or None")
        _require(isinstance(self.drops, str), "drops", "a few words, or an empty text")
        _require(_is_number(self.trained_gamma) and 0 <= self.trained_gamma < 1, "trained_gamma", "a share in [0, 1)")
        _require(_is_number(self.sigma_data) and 0 < self.sigma_data < math.inf, "sigma_data", "a number above 0")
        _require(isinstance(self.autoencoder, str) and self.autoencoder, "autoencoder", "a folder, a hub id, or none")
        _require(isinstance(self.variance, bool), "variance", "True or False")
        _require(_counts(self.blocks, MOST_BLOCKS, least=0), "blocks", f"a number of blocks, at most {MOST_BLOCKS:,}")
        _require(_counts(self.width, least=0), "width", f"a whole number, at most {LARGEST:,}")
        _require(self.macs is None or callable(self.macs), "macs", "a function of the number of kept tokens, or None")
        image = self.shrink > 1 or self.shape[0] in IMAGE_CHANNELS
        _require(image, "shape", f"1 or 3 channels of an image, or `shrink={LATENT_SHRINK}` for latents")

    @property
    def has_null(self) -> bool:
        """Whether there is a null condition."""
        return self.null is not None or self.caption is not None

    @property
    def samples_are_images(self) -> bool:
        """Whether no autoencoder is needed."""
        return self.shrink == 1

    def record(self) -> dict[str, Any]:
        """The facts as JSON takes them: all but the closed form."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "macs"}


class Adapter(NamedTuple):
    """A network in this process, and what it is: for a class without a card, or that is called in another way."""

    module: Any
    """A torch.nn.Module."""
    card: ModelCard
    call: Callable[..., Any] | None = None
    """`call(module, x, t, condition, tokens)` gives the prediction; without it the module is called so itself."""


def _counts(value: object, most: int = LARGEST, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _require(holds: object, key: str, wanted: str) -> None:
    if not holds:
        raise ValueError(f"the card's {key} must be {wanted}")
