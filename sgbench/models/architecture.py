"""The base record of a network: sizes, multiply-accumulates in closed form, and what the network can do. No torch.

Two counting conventions, both with one multiply-accumulate as one:
- `macs`: everything fvcore counts, attention products included, LayerNorm 4 per element;
- `paper`: as in Table 2 of arXiv 2601.01608, without attention products, LayerNorm 2 per element.
`cost/macs.py` counts both on the network itself; they must agree within 0.1 %.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from sgbench.guidance.perturbation import Perturbation

Routes = tuple[tuple[int, int], ...]
Conditions = Literal["classes", "words", "captions"]
# Width of the sinusoidal timestep features in DiT and its successors.
TIME_FREQUENCIES = 256
# Of any size: a number that is larger is a slip.
LARGEST, MOST_CLASSES = 100_000, 10_000_000


class Macs(NamedTuple):
    """Multiply-accumulates by operation; LayerNorm as the number of normalised elements."""

    linear: int
    attention: int
    normalised: int

    @property
    def macs(self) -> int:
        return self.linear + self.attention + 4 * self.normalised

    @property
    def paper(self) -> int:
        return self.linear + 2 * self.normalised

    def plus(self, other: Macs) -> Macs:
        """Element-wise sum."""
        return Macs(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def times(self, count: int) -> Macs:
        """Each part multiplied by `count`."""
        return Macs(*(count * part for part in self))


class Architecture(BaseModel, ABC):
    """Sizes of a denoiser of square images, and what follows from them."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    network: ClassVar[str]
    """What builds the network from the record, as module:function; imported on first use."""
    conditions: ClassVar[Conditions] = "classes"
    """What the network is conditioned on."""
    drops_path: ClassVar[bool] = False
    """Whether all middle blocks can be left out."""
    attention_perturbs: ClassVar[bool] = True
    """Whether the self-attention of single blocks can be perturbed."""
    has_routes: ClassVar[bool] = False
    """Whether tokens are dropped at routes, which can be chosen."""
    telltale_parts: ClassVar[frozenset[str]] = frozenset()
    """Top-level modules by which a state dict is recognised; empty where it is not."""
    depth_stacks: ClassVar[tuple[str, ...]] = ("blocks",)
    """Stacks of layers in a state dict that `depth` counts; their names end with `blocks`."""

    family: str
    input_size: int = Field(gt=0, le=LARGEST, description="side of the square input, in pixels or latents")
    patch_size: int = Field(gt=0, le=LARGEST)
    in_channels: int = Field(gt=0, le=LARGEST)
    hidden_size: int = Field(gt=0, le=LARGEST)
    depth: int = Field(gt=0, le=LARGEST)
    trained_gamma: float = Field(default=0.0, ge=0, lt=1, description="share of tokens dropped in training")

    @model_validator(mode="after")
    def _whole_patches(self) -> Architecture:
        if self.input_size % self.patch_size:
            raise ValueError(f"input_size {self.input_size} is not a multiple of patch_size {self.patch_size}")
        return self

    @property
    def grid_tokens(self) -> int:
        """Number of image tokens of the full grid."""
        return (self.input_size // self.patch_size) ** 2

    @property
    def patch_values(self) -> int:
        """Input values per patch."""
        return self.patch_size**2 * self.in_channels

    @property
    def blocks(self) -> int:
        """Number of blocks that can be perturbed; they are numbered in running order."""
        return self.depth

    @property
    def sample_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one sample."""
        return (self.in_channels, self.input_size, self.input_size)

    if TYPE_CHECKING:

        @property
        def out_channels(self) -> int:
            """Channels of the output. For type checkers alone: pydantic lets no field take a property's place."""

    @property
    def predicts_variance(self) -> bool:
        """Whether the output has a second half for the variance of a step."""
        return False

    @property
    def null_label(self) -> int:
        """What fills the null condition: a class of its own, or 0 for words and caption embeddings."""
        return 0

    @property
    def condition_shape(self) -> tuple[int, ...]:
        """Shape of one condition: () for a class, (L,) for words, (L, C) for a caption embedding."""
        return ()

    @property
    def has_inner_head(self) -> bool:
        """Whether a second head gives a prediction from inside the network."""
        return False

    @property
    def can_drop_tokens(self) -> bool:
        """Whether tokens can be dropped somewhere in the network."""
        return True

    def states_macs(self, perturbation: Perturbation | None = None) -> bool:
        """Whether the closed form of a call is known; if not, calls are counted when they first run."""
        return True

    @abstractmethod
    def call_macs(self, kept: int) -> Macs:
        """One call for one image with `kept` image tokens."""

    def inner_macs(self) -> Macs:
        """What the inner head adds to a call that uses it."""
        return Macs(0, 0, 0)

    @abstractmethod
    def block_macs(self, kept: int) -> list[Macs]:
        """Every block that can be perturbed, in running order."""

    def image_attention(self, layer: int, kept: int) -> int:
        """Attention products among image tokens in one block."""
        return self.block_macs(kept)[layer].attention

    def attention_width(self, layer: int) -> int:
        """Width of a block's queries, all heads together."""
        return self.hidden_size


class SameChannels(Architecture):
    """A network that predicts as many channels as it is given."""

    @property
    def out_channels(self) -> int:
        return self.in_channels


class HeadsArchitecture(Architecture):
    """A network with one number of attention heads: patches, blocks, a final layer, as in DiT (arXiv 2212.09748)."""

    num_heads: int = Field(gt=0)

    @model_validator(mode="after")
    def _whole_heads(self) -> HeadsArchitecture:
        if self.hidden_size % self.num_heads:
            raise ValueError(f"hidden_size {self.hidden_size} is not a multiple of num_heads {self.num_heads}")
        return self

    def call_macs(self, kept: int) -> Macs:
        grid, width = self.grid_tokens, self.hidden_size
        return total(
            embedding(grid, self.patch_values, width),
            *self.block_macs(kept),
            self.other_macs(kept),
            final(grid, width, self.patch_size**2 * self.out_channels, width),
        )

    def other_macs(self, kept: int) -> Macs:
        """Whatever a call costs apart from the embedding, the blocks of `block_macs` and the final layer."""
        return Macs(0, 0, 0)


class RoutedArchitecture(HeadsArchitecture):
    """A network in which dropped tokens skip the blocks of routes (TREAD, arXiv 2501.04765)."""

    has_routes: ClassVar[bool] = True

    routes: Routes = Field(default=(), description="(first, last) block of each route, both included, in order")

    @model_validator(mode="after")
    def _routes_in_order(self) -> RoutedArchitecture:
        check_routes(self.routes, self.depth)
        return self

    @property
    def can_drop_tokens(self) -> bool:
        return bool(self.routes)

    def routed(self, dense: Macs, sparse: Macs) -> list[Macs]:
        """Blocks in running order: `sparse` on routes, `dense` elsewhere."""
        on_route = {layer for first, last in self.routes for layer in range(first, last + 1)}
        return [sparse if layer in on_route else dense for layer in range(self.depth)]


class CaptionArchitecture(SameChannels):
    """A network conditioned on caption embeddings."""

    conditions: ClassVar[Conditions] = "captions"

    caption_channels: int = Field(gt=0)
    caption_tokens: int = Field(gt=0, description="length of a caption, padding included")

    @property
    def condition_shape(self) -> tuple[int, ...]:
        return (self.caption_tokens, self.caption_channels)


class ClassArchitecture(HeadsArchitecture):
    """A class-conditional network."""

    num_classes: int = Field(gt=0, le=MOST_CLASSES)
    time_scale: float = Field(default=1.0, gt=0, description="t is multiplied by this before the sinusoidal embedding")

    @model_validator(mode="after")
    def _room_for_positions(self) -> ClassArchitecture:
        check_positions("hidden_size", self.hidden_size)
        return self

    @property
    def null_label(self) -> int:
        return self.num_classes

    @property
    def label_table(self) -> tuple[int, int]:
        """Shape of the label embedding's weights."""
        return (self.num_classes + 1, self.hidden_size)

    @classmethod
    def classes_in(cls, table: Sequence[int]) -> int:
        """Number of classes, from the shape of the label embedding: one row per class and one for the null class."""
        return table[0] - 1


class VarianceArchitecture(ClassArchitecture):
    """A class-conditional network that may predict the variance of a step in as many further channels."""

    out_channels: int = Field(gt=0)

    @property
    def predicts_variance(self) -> bool:
        return self.out_channels >= 2 * self.in_channels


def check_positions(name: str, width: int) -> None:
    """Raise ValueError unless sines and cosines of rows and columns fill a width."""
    if width % 4:
        raise ValueError(f"{name} {width} is not a multiple of 4, which fixed positions need")


def check_routes(routes: Routes, depth: int) -> None:
    """Raise ValueError unless routes, (first, last) block of each, are in order and inside the network."""
    free = 0
    for first, last in routes:
        if not free <= first <= last < depth:
            raise ValueError(f"route [{first}, {last}] overlaps another or leaves blocks 0..{depth - 1}")
        free = last + 1


def embedding(tokens: int, patch: int, width: int, frequencies: int = TIME_FREQUENCIES) -> Macs:
    """The patch embedding, and the two linear layers of the timestep embedding."""
    return Macs(tokens * patch * width + frequencies * width + width * width, 0, 0)


def block(tokens: int, width: int, condition: int) -> Macs:
    """Projections 4 n d^2, MLP 8 n d^2, modulation 6 c d; two attention products of n^2 d; two norms."""
    linear = 12 * tokens * width**2 + 6 * condition * width
    return Macs(linear, 2 * tokens**2 * width, 2 * tokens * width)


def final(tokens: int, width: int, out: int, condition: int) -> Macs:
    """The last layer: a modulated norm and a linear map."""
    return Macs(tokens * width * out + 2 * condition * width, 0, tokens * width)


def total(*parts: Macs) -> Macs:
    """The sum of all parts."""
    return reduce(Macs.plus, parts)
