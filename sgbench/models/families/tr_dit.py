"""TR-DiT-2.5B, the text-to-image model of Sparse Guidance (arXiv 2601.01608), by its description. No torch.

No weights of it are published: random ones serve for cost and throughput. Described are 34 blocks of width 2,048 with
16 heads, RMS norms, no biases, axial rotary positions that are dropped with their tokens, SwiGLU of 8/3, routes of half
of the tokens from block 2 to 30, and states of InternVL3-2B through two more blocks. The rest is chosen here:

- Blocks have no biases; embeddings of patches and time, the modulation and the last layer keep theirs, as in DiT.
- Image tokens read the caption by cross-attention, and one modulation by time serves all blocks, each with an offset of
  its own. That makes 2.46 billion parameters. Words in the image's sequence and a modulation in every block, the other
  common design, would make 2.7.
- The inner width of an MLP, 8/3 of 2,048, is rounded up to a multiple of 256, as in Llama.
- Latents have four channels, an eighth of the image's side, and patches of 2 x 2: 1,024 tokens at 512 pixels.
- Captions have 256 tokens, without positions of their own: states of a language model know their order.
- Queries and keys are not normalised, and the rotary frequencies have base 10,000.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from sgbench.models.architecture import CaptionArchitecture, Macs, RoutedArchitecture, embedding, total
from sgbench.models.family import LATENT_CHANNELS, SHAPE_KEYS, Family, Request, Size, tread_route
from sgbench.samplers.catalogue import FLOW_SAMPLERS

# The described model; the letters of the class-conditional families do not apply.
DESCRIBED = Size(depth=34, width=2048, heads=16)
OTHERS = {"text_depth": 2, "caption_channels": 1536, "trained_gamma": 0.5}
MLP_RATIO, MLP_MULTIPLE = 8 / 3, 256


class TRDiTArchitecture(CaptionArchitecture, RoutedArchitecture):
    """TR-DiT: image tokens attend to each other, then to the caption; routes as in TREAD (arXiv 2601.01608)."""

    network: ClassVar[str] = "sgbench.networks.tr_dit:TRDiT"
    telltale_parts: ClassVar[frozenset[str]] = frozenset({"caption_blocks", "blocks"})

    family: Literal["tr-dit"] = "tr-dit"
    mlp_width: int = Field(gt=0, description="inner width of the gated MLPs")
    text_depth: int = Field(ge=0, description="blocks over the caption")
    caption_tokens: int = Field(default=256, gt=0, description="length of a caption, padding included")

    @model_validator(mode="after")
    def _axes_share_a_head(self) -> TRDiTArchitecture:
        if self.hidden_size // self.num_heads % 4:
            raise ValueError("the rotary embedding needs a head width that is a multiple of 4")
        return self

    def block_macs(self, kept: int) -> list[Macs]:
        return self.routed(self._block(self.grid_tokens), self._block(kept))

    def call_macs(self, kept: int) -> Macs:
        """Words are never dropped. RMS norms, rotary positions and gates are not counted."""
        grid, width, patch = self.grid_tokens, self.hidden_size, self.patch_values
        return total(
            embedding(grid, patch, width),
            self._caption(),
            # The modulation of all blocks, and the last layer with its own.
            Macs(6 * width**2 + grid * width * patch + 2 * width**2, 0, 0),
            *self.block_macs(kept),
        )

    def image_attention(self, layer: int, kept: int) -> int:
        """Attention to the caption is not perturbed."""
        among = (Macs(0, 2 * tokens**2 * self.hidden_size, 0) for tokens in (self.grid_tokens, kept))
        return self.routed(*among)[layer].attention

    def _block(self, tokens: int) -> Macs:
        """Maps of n tokens 6 n d^2 and of L words 2 L d^2, gated MLP 3 n d m; products of n (n + L) d, twice."""
        width, words = self.hidden_size, self.caption_tokens
        linear = (6 * tokens + 2 * words) * width**2 + 3 * tokens * width * self.mlp_width
        return Macs(linear, 2 * tokens * (tokens + words) * width, 0)

    def _caption(self) -> Macs:
        """A linear map of L words, then blocks: projections 4 L d^2, gated MLP 3 L d m, two products of L^2 d."""
        words, width = self.caption_tokens, self.hidden_size
        one = Macs(words * width * (4 * width + 3 * self.mlp_width), 2 * words**2 * width, 0)
        return one.times(self.text_depth).plus(Macs(words * self.caption_channels * width, 0, 0))


def _from_config(config: Mapping[str, Any]) -> TRDiTArchitecture:
    """There is no published constructor: a config has the record's own names."""
    return TRDiTArchitecture(**config)


def _sized(request: Request) -> TRDiTArchitecture:
    if request.own is None and (request.letter, request.patch) != ("XL", 2):
        raise ValueError("TR-DiT was described in one size, which is called XL/2 here")
    depth, width, heads = request.own or DESCRIBED
    routes = tread_route(depth) if request.routes is None else request.routes
    sizes = {"depth": depth, "hidden_size": width, "num_heads": heads, "patch_size": request.patch, "routes": routes}
    data = {"input_size": request.side, "in_channels": request.channels or LATENT_CHANNELS}
    mlp_width = -(-int(width * MLP_RATIO) // MLP_MULTIPLE) * MLP_MULTIPLE
    return _from_config({**sizes, **data, **OTHERS, "mlp_width": mlp_width})


FAMILIES = (
    Family(
        name="tr-dit",
        title="TR-DiT",
        source="arXiv 2601.01608, by its description",
        works=("krause2026sparseguidance", "krause2025tread"),
        rank=75,
        architecture=TRDiTArchitecture,
        telltales=("text_depth",),
        keys=(*SHAPE_KEYS, "channels", "latent_side"),
        prediction="velocity",
        drops="routed image tokens skip the blocks of the route with their positions, words never do",
        samplers=FLOW_SAMPLERS,
        from_config=_from_config,
        sized=_sized,
        text_encoder="OpenGVLab/InternVL3-2B",
        note="built from its description: no weights are published, random ones serve for cost and throughput",
    ),
)
