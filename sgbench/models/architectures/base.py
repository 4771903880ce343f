"""What a record of every network has. No torch.

Two conventions of counting, both with one multiply-accumulate as one:
- `macs`: everything fvcore counts, attention products included, LayerNorm 4 per element;
- `paper`: as in Table 2 of arXiv 2601.01608, without attention products, LayerNorm 2 per element.
`cost/macs.py` measures the same numbers on the network; they must agree within 0.1 %.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import reduce
from typing import ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

Routes = tuple[tuple[int, int], ...]
Conditions = Literal["classes", "words", "captions"]
# Width of the sinusoidal features of a timestep, in DiT and all that followed it.
TIME_FREQUENCIES = 256


class Macs(NamedTuple):
    """Multiply-accumulates by what does them; LayerNorm as normalised elements."""

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
        """Every part `count` times."""
        return Macs(*(count * part for part in self))


class Architecture(BaseModel, ABC):
    """The sizes of a network that draws square images, and what follows from them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: ClassVar[str]
    """What builds the network from the record: module:function, imported when it is wanted."""
    conditions: ClassVar[Conditions] = "classes"
    """What the network is conditioned on."""
    drops_path: ClassVar[bool] = False
    """Whether its middle blocks can be left out altogether."""
    attention_perturbs: ClassVar[bool] = True
    """Whether the self-attention of single blocks can be perturbed."""

    family: str
    input_size: int = Field(gt=0, description="side of the square input, in pixels or latents")
    patch_size: int = Field(gt=0)
    in_channels: int = Field(gt=0)
    hidden_size: int = Field(gt=0)
    depth: int = Field(gt=0)
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
        """Values of a patch of the input."""
        return self.patch_size**2 * self.in_channels

    @property
    def blocks(self) -> int:
        """Blocks that can be perturbed, in running order; skipping one by number means these."""
        return self.depth

    @property
    def sample_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one sample."""
        return (self.in_channels, self.input_size, self.input_size)

    @property
    def predicts_variance(self) -> bool:
        """Whether the variance of a step comes with the prediction, in as many channels."""
        return False

    @property
    def condition_shape(self) -> tuple[int, ...]:
        """Shape of one condition: a class, the words of a caption (L,), or its embedding (L, C)."""
        return ()

    @property
    def has_routes(self) -> bool:
        """Whether tokens leave at routes, which can be chosen."""
        return "routes" in type(self).model_fields

    @property
    def can_drop_tokens(self) -> bool:
        """Whether there is a place where tokens leave."""
        return not self.has_routes or bool(getattr(self, "routes", ()))

    @abstractmethod
    def call_macs(self, kept: int) -> Macs:
        """One call for one image in which `kept` image tokens do work."""

    @abstractmethod
    def block_macs(self, kept: int) -> list[Macs]:
        """Every block that can be perturbed, in running order."""

    def image_attention(self, layer: int, kept: int) -> int:
        """The products of a block that its image tokens' self-attention takes."""
        return self.block_macs(kept)[layer].attention

    def attention_width(self, layer: int) -> int:
        """Width of a block's queries, all heads together."""
        return self.hidden_size


class ClassArchitecture(Architecture):
    """The DiT backbone that the class-conditional families share (Peebles and Xie, arXiv 2212.09748)."""

    num_heads: int = Field(gt=0)
    num_classes: int = Field(gt=0)
    time_scale: float = Field(default=1.0, gt=0, description="t is multiplied by this before the sinusoidal embedding")

    @model_validator(mode="after")
    def _whole_heads(self) -> ClassArchitecture:
        check_heads(self.hidden_size, self.num_heads)
        return self

    @property
    def null_label(self) -> int:
        """The class index that stands for "no condition"."""
        return self.num_classes


def check_heads(width: int, heads: int) -> None:
    """Raise ValueError unless heads share the width evenly."""
    if width % heads:
        raise ValueError(f"hidden_size {width} is not a multiple of num_heads {heads}")


def check_routes(routes: Routes, depth: int) -> None:
    """Raise ValueError unless routes, (first, last) block of each, are in order and inside the network."""
    free = 0
    for first, last in routes:
        if not free <= first <= last < depth:
            raise ValueError(f"route [{first}, {last}] overlaps another or leaves blocks 0..{depth - 1}")
        free = last + 1


def routed(routes: Routes, depth: int, dense: Macs, sparse: Macs) -> list[Macs]:
    """Blocks by their order: `sparse` inside of routes, `dense` elsewhere."""
    inside = {layer for first, last in routes for layer in range(first, last + 1)}
    return [sparse if layer in inside else dense for layer in range(depth)]


def embedding(tokens: int, patch: int, width: int, frequencies: int = TIME_FREQUENCIES) -> Macs:
    """Patches to tokens, and the two linear layers of the timestep."""
    return Macs(tokens * patch * width + frequencies * width + width * width, 0, 0)


def block(tokens: int, width: int, condition: int) -> Macs:
    """Projections 4 n d^2, MLP 8 n d^2, modulation 6 c d; two attention products of n^2 d; two norms."""
    linear = 12 * tokens * width**2 + 6 * condition * width
    return Macs(linear, 2 * tokens**2 * width, 2 * tokens * width)


def final(tokens: int, width: int, out: int, condition: int) -> Macs:
    """The last layer: a modulated norm and a linear map."""
    return Macs(tokens * width * out + 2 * condition * width, 0, tokens * width)


def total(*parts: Macs) -> Macs:
    """Their sum."""
    return reduce(Macs.plus, parts)
