"""MicroDiT (Sehwag et al.): text to image, a patch mixer before the mask, EDM preconditioning with sigma_data 0.9."""

from collections.abc import Mapping, Sequence
from typing import Any

from sgbench.models.architectures import MicroDiTArchitecture
from sgbench.models.families.family import LATENT_CHANNELS, Family, Request

# The published XL model; the letters of the class-conditional families do not apply.
DEPTH, WIDTH, HEAD_WIDTH = 28, 1024, 64
RAMP = tuple(0.5 + 0.5 * index / (DEPTH - 1) for index in range(DEPTH))
FFN_RAMP = tuple(0.5 + 3.5 * index / (DEPTH - 1) for index in range(DEPTH))


def _from_config(config: Mapping[str, Any]) -> MicroDiTArchitecture:
    same = (
        *("input_size", "patch_size", "in_channels", "depth", "head_dim", "multiple_of", "caption_channels"),
        *("pos_interp_scale", "patch_mixer_qkv_ratio", "patch_mixer_mlp_ratio", "use_bias"),
        *("num_experts", "expert_capacity", "experts_every_n"),
    )
    mixes = config.get("use_patch_mixer", True)
    return MicroDiTArchitecture(
        **{key: config[key] for key in same},
        hidden_size=config["dim"],
        qkv_ratios=_spread(config["qkv_multipliers"], config["depth"]),
        ffn_ratios=_spread(config["ffn_multipliers"], config["depth"]),
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
    return MicroDiTArchitecture(
        input_size=request.side,
        patch_size=request.patch,
        in_channels=LATENT_CHANNELS,
        hidden_size=WIDTH,
        depth=DEPTH,
        head_dim=HEAD_WIDTH,
        multiple_of=256,
        caption_channels=1024,
        pos_interp_scale=request.side / 32,
        qkv_ratios=RAMP,
        ffn_ratios=FFN_RAMP,
        patch_mixer_depth=6,
        patch_mixer_dim=768,
        patch_mixer_qkv_ratio=1.0,
        patch_mixer_mlp_ratio=4.0,
        num_experts=8,
        expert_capacity=2.0,
        experts_every_n=2,
        trained_gamma=0.75,
    )


FAMILY = Family(
    name="microdit",
    title="MicroDiT",
    source="arXiv 2407.15811",
    works=("sehwag2025microdit",),
    telltales=("caption_channels",),
    prediction="edm",
    drops="patches are masked after the mixer and come out as zeros",
    samplers=("edm-heun",),
    from_config=_from_config,
    sized=_sized,
    sigma_data=0.9,
    text=True,
    text_encoder="apple/DFN5B-CLIP-ViT-H-14-378",
    autoencoder="stabilityai/stable-diffusion-xl-base-1.0",
    note="sparse branches are experimental: a masked patch has no prediction of its own",
)
