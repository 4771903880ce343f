"""MicroDiT (Sehwag et al.): text to image, a patch mixer before the mask, EDM with sigma_data 0.9. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from sgbench.models.architecture import CaptionArchitecture, Macs, check_positions, embedding, final, total
from sgbench.models.family import LATENT_CHANNELS, Family, Request, flag, whole
from sgbench.samplers.catalogue import EDM_SAMPLERS

TIME_FREQUENCIES = 512
# The published XL model; the letters of the class-conditional families do not apply.
PUBLISHED = {
    "patch_size": 2,
    "in_channels": LATENT_CHANNELS,
    "dim": 1024,
    "depth": 28,
    "head_dim": 64,
    "multiple_of": 256,
    "caption_channels": 1024,
    "qkv_multipliers": [0.5 + 0.5 * index / 27 for index in range(28)],
    "ffn_multipliers": [0.5 + 3.5 * index / 27 for index in range(28)],
    "patch_mixer_depth": 6,
    "patch_mixer_dim": 768,
    "patch_mixer_qkv_ratio": 1.0,
    "patch_mixer_mlp_ratio": 4.0,
    "use_bias": False,
    "num_experts": 8,
    "expert_capacity": 2.0,
    "experts_every_n": 2,
}


class MicroBlock(NamedTuple):
    """Widths of one MicroDiT block."""

    width: int
    attention_width: int
    mlp_width: int
    experts: bool


class MicroDiTArchitecture(CaptionArchitecture):
    """MicroDiT: text to image, a patch mixer before the mask, experts in some blocks (arXiv 2407.15811)."""

    network: ClassVar[str] = "sgbench.networks.microdit:MicroDiT"
    telltale_parts: ClassVar[frozenset[str]] = frozenset({"patch_mixer", "blocks"})

    family: Literal["microdit"] = "microdit"
    head_dim: int = Field(gt=0)
    multiple_of: int = Field(gt=0, description="inner widths of MLPs are rounded up to a multiple of this")
    caption_tokens: int = Field(default=77, gt=0, description="length of a caption, for counting")
    pos_interp_scale: float = Field(default=1.0, gt=0)
    qkv_ratios: tuple[float, ...] = Field(description="attention width over width, block by block")
    ffn_ratios: tuple[float, ...] = Field(description="MLP width over width, block by block")
    patch_mixer_depth: int = Field(ge=0)
    patch_mixer_dim: int = Field(gt=0)
    patch_mixer_qkv_ratio: float = Field(gt=0)
    patch_mixer_mlp_ratio: float = Field(gt=0)
    use_bias: bool = False
    num_experts: int = Field(gt=0)
    expert_capacity: float = Field(gt=0)
    experts_every_n: int = Field(gt=0)
    time_scale: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _whole_heads(self) -> MicroDiTArchitecture:
        for name in ("hidden_size", "patch_mixer_dim"):
            width = getattr(self, name)
            if width % self.head_dim:
                raise ValueError(f"{name} {width} is not a multiple of head_dim {self.head_dim}")
        check_positions("hidden_size", self.hidden_size)
        return self

    @model_validator(mode="after")
    def _one_ratio_per_block(self) -> MicroDiTArchitecture:
        for name in ("qkv_ratios", "ffn_ratios"):
            if len(getattr(self, name)) != self.depth:
                raise ValueError(f"{name} has {len(getattr(self, name))} values for {self.depth} blocks")
        return self

    @property
    def caption_mlp_width(self) -> int:
        """Inner width of the gated MLP over the caption."""
        return self._gated(4 * self.hidden_size)

    @property
    def mixer_blocks(self) -> tuple[MicroBlock, ...]:
        """The patch mixer, block by block; its first one never has experts."""
        sizes = self.patch_mixer_dim, self.patch_mixer_qkv_ratio, self.patch_mixer_mlp_ratio
        experts = [index > 0 and self._has_experts(index) for index in range(self.patch_mixer_depth)]
        return tuple(self._block(*sizes, found) for found in experts)

    @property
    def backbone_blocks(self) -> tuple[MicroBlock, ...]:
        """The backbone, block by block; its last one never has experts."""
        return tuple(
            self._block(self.hidden_size, qkv, ffn, self._has_experts(index) and index < self.depth - 1)
            for index, (qkv, ffn) in enumerate(zip(self.qkv_ratios, self.ffn_ratios, strict=True))
        )

    def block_macs(self, kept: int) -> list[Macs]:
        return [self._macs_of(one, kept) for one in self.backbone_blocks]

    def call_macs(self, kept: int) -> Macs:
        grid, width, light, words = self.grid_tokens, self.hidden_size, self.patch_mixer_dim, self.caption_tokens
        per_word = (self.caption_channels + 5 * width + 3 * self.caption_mlp_width) * width
        found = total(
            embedding(grid, self.patch_values, width, TIME_FREQUENCIES),
            # The caption: an embedding, a block of attention and gated MLP, and the maps of the mean word.
            Macs(words * per_word + 2 * width**2, 2 * words**2 * width, 5 * words * width + width),
            *(self._macs_of(one, grid) for one in self.mixer_blocks),
            *self.block_macs(kept),
            final(kept, width, self.patch_values, width),
        )
        if light == width:
            return found
        maps = Macs((grid + kept + words) * width * light, 0, (grid + words) * width + kept * light)
        return found.plus(maps)

    def image_attention(self, layer: int, kept: int) -> int:
        """Blocks also attend to the caption, which is not perturbed."""
        return 2 * kept**2 * self.attention_width(layer)

    def attention_width(self, layer: int) -> int:
        return self.backbone_blocks[layer].attention_width

    def _macs_of(self, one: MicroBlock, tokens: int) -> Macs:
        width, inner, words = one.width, one.attention_width, self.caption_tokens
        linear = 4 * tokens * width * inner + 2 * (tokens + words) * width**2 + 6 * self.hidden_size * width
        attention = 2 * tokens**2 * inner + 2 * tokens * words * width
        normalised = 2 * tokens * inner + (tokens + words) * width + 3 * tokens * width
        if one.experts:
            chosen = int(self.expert_capacity * tokens / self.num_experts)
            linear += tokens * width * self.num_experts + 2 * self.num_experts * chosen * width * one.mlp_width
        else:
            linear += 3 * tokens * width * one.mlp_width
        return Macs(linear, attention, normalised)

    def _has_experts(self, index: int) -> bool:
        return (index + 1) % self.experts_every_n == 0

    def _block(self, width: int, qkv: float, ffn: float, experts: bool) -> MicroBlock:
        attention = width if qkv == 1 else _round_up(int(width * qkv), 2 * self.head_dim)
        inner = int(width * ffn)
        mlp = _round_up(inner, self.multiple_of) if experts else self._gated(inner)
        return MicroBlock(width, attention, mlp, experts)

    def _gated(self, inner: int) -> int:
        return _round_up(int(2 * inner / 3), self.multiple_of)


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _from_config(config: Mapping[str, Any]) -> MicroDiTArchitecture:
    same = (
        *("input_size", "patch_size", "in_channels", "depth", "head_dim", "multiple_of", "caption_channels"),
        *("pos_interp_scale", "patch_mixer_qkv_ratio", "patch_mixer_mlp_ratio", "use_bias"),
        *("num_experts", "expert_capacity", "experts_every_n"),
    )
    mixes = flag(config, "use_patch_mixer", True)
    return MicroDiTArchitecture(
        **{key: config[key] for key in same},
        hidden_size=config["dim"],
        qkv_ratios=_spread(config["qkv_multipliers"], whole(config, "depth")),
        ffn_ratios=_spread(config["ffn_multipliers"], whole(config, "depth")),
        patch_mixer_depth=config["patch_mixer_depth"] if mixes else 0,
        patch_mixer_dim=config["patch_mixer_dim"] if mixes else config["dim"],
        trained_gamma=0.75,
    )


def _spread(values: Sequence[float], depth: int) -> tuple[float, ...]:
    """One value per block: equal runs of blocks share a value."""
    if depth % len(values):
        raise ValueError(f"{depth} blocks cannot share {len(values)} multipliers evenly")
    return tuple(value for value in values for _ in range(depth // len(values)))


def _sized(request: Request) -> MicroDiTArchitecture:
    if (request.letter, request.patch) != ("XL", 2):
        raise ValueError("MicroDiT was published as XL/2 only")
    data = {"input_size": request.side, "in_channels": request.channels or LATENT_CHANNELS}
    return _from_config({**PUBLISHED, **data, "pos_interp_scale": request.side / 32})


FAMILIES = (
    Family(
        name="microdit",
        title="MicroDiT",
        source="arXiv 2407.15811",
        works=("sehwag2025microdit",),
        rank=60,
        architecture=MicroDiTArchitecture,
        telltales=("caption_channels",),
        # Its widths change from block to block: a config says them all.
        keys=("channels", "latent_side"),
        fixed={"norm_eps": 1e-6},
        unused=("depth_init", "patch_mixer_depth", "patch_mixer_dim"),
        prediction="edm",
        drops="patches are masked after the mixer and come out as zeros",
        samplers=EDM_SAMPLERS,
        from_config=_from_config,
        sized=_sized,
        sigma_data=0.9,
        text_encoder="apple/DFN5B-CLIP-ViT-H-14-378",
        autoencoder="stabilityai/stable-diffusion-xl-base-1.0",
        note="sparse branches are experimental: a masked patch has no prediction of its own",
    ),
)
