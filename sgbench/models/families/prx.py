"""PRX (Photoroom): text to image by a folder of diffusers' layout; routes as in TREAD around its blocks. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from sgbench.base.errors import UserError
from sgbench.models.architecture import TIME_FREQUENCIES, CaptionArchitecture, Macs, RoutedArchitecture, Routes, total
from sgbench.models.components import OWN, read_json
from sgbench.models.config import reason
from sgbench.models.family import SHAPE_KEYS, Family, Request, tread_route
from sgbench.samplers.catalogue import FLOW_SAMPLERS

# The published models were trained on captions of at most this many tokens; diffusers' conversion writes it, too.
CAPTION_TOKENS = 256
# The published 1.2B model over Flux' latents.
PUBLISHED = {
    "in_channels": 16,
    "patch_size": 2,
    "context_in_dim": 2304,
    "hidden_size": 1792,
    "mlp_ratio": 3.5,
    "num_heads": 28,
    "depth": 16,
}
# Photoroom's own TREAD runs: from block 2 to the fourth from the end of 16, half of the tokens.
ROUTE = ((2, 12),)
SHRINK = 8
INDEX = "model_index.json"
PIPELINE = "PRXPipeline"
# Where diffusers keeps the widths of an autoencoder's stages; every stage but one halves the side.
STAGES = {"AutoencoderKL": "block_out_channels", "AutoencoderDC": "encoder_block_out_channels"}
# diffusers' name of a size, where ours differs.
NAMES = {"context_in_dim": "caption_channels"}


class PRXArchitecture(CaptionArchitecture, RoutedArchitecture):
    """PRX: words are keys and values in every block and never change; routes as in TREAD (Photoroom, Apache-2.0)."""

    network: ClassVar[str] = "sgbench.networks.prx:random_prx"
    attention_perturbs: ClassVar[bool] = False

    family: Literal["prx"] = "prx"
    mlp_ratio: float = Field(gt=0)
    caption_tokens: int = Field(default=CAPTION_TOKENS, gt=0, description="length of a caption, padding included")
    axes_dim: tuple[int, ...] = Field(default=(32, 32), description="rotary channels of rows and columns")
    theta: int = Field(default=10_000, gt=0)
    time_factor: float = Field(default=1000.0, gt=0, description="t is multiplied by this inside the network")
    time_max_period: int = Field(default=10_000, gt=0)
    bottleneck_size: int | None = Field(default=None, gt=0, description="inner width of the patch embedding")
    resolution_embeds: bool = False

    @model_validator(mode="after")
    def _axes_fill_a_head(self) -> PRXArchitecture:
        head = self.hidden_size // self.num_heads
        if sum(self.axes_dim) != head or any(axis % 2 for axis in self.axes_dim):
            raise ValueError(f"axes_dim {list(self.axes_dim)} are not even or do not add up to the head width {head}")
        return self

    @property
    def mlp_width(self) -> int:
        """Inner width of the gated MLP."""
        return int(self.hidden_size * self.mlp_ratio)

    def block_macs(self, kept: int) -> list[Macs]:
        return self.routed(self._block(self.grid_tokens), self._block(kept))

    def call_macs(self, kept: int) -> Macs:
        """Words are never dropped. Rotary positions, RMS norms of queries and keys, and gates are not counted."""
        grid, width, patch = self.grid_tokens, self.hidden_size, self.patch_values
        inner = self.bottleneck_size
        embedded = grid * patch * width if inner is None else grid * inner * (patch + width)
        # The timestep, and the resolution where it is embedded as well.
        vectors = (2 if self.resolution_embeds else 1) * (TIME_FREQUENCIES + width) * width
        words = self.caption_tokens * self.caption_channels * width
        return total(
            Macs(embedded + vectors + words, 0, 0),
            *self.block_macs(kept),
            Macs(grid * width * patch + 2 * width**2, 0, grid * width),
        )

    def _block(self, tokens: int) -> Macs:
        """Projections of n tokens 4 n d^2 and of L words 2 L d^2, gated MLP 3 n d m, modulation 6 d^2.

        Image tokens attend to words and to each other: two products of n (L + n) d.
        """
        width, words = self.hidden_size, self.caption_tokens
        linear = (4 * tokens + 2 * words + 6) * width**2 + 3 * tokens * width * self.mlp_width
        return Macs(linear, 2 * tokens * (words + tokens) * width, 2 * tokens * width)


def prx_from_config(
    config: Mapping[str, Any],
    resolution: int,
    routes: Routes,
    shrink: int = SHRINK,
    caption_tokens: int = CAPTION_TOKENS,
) -> PRXArchitecture:
    """The record behind a pipeline's transformer/config.json.

    resolution is the side of the finished image in pixels, shrink how often it is larger than that of its latents (8
    for Flux' autoencoder, 32 for DC-AE). Raises ValueError for sizes that are unknown, missing or do not fit.
    """
    if resolution % shrink:
        raise ValueError(f"resolution {resolution} is not a multiple of {shrink}, the pixels of a latent")
    # diffusers keeps notes under names that start with an underscore, and writes null for a default.
    given = {name: value for name, value in config.items() if not name.startswith("_") and value is not None}
    sizes = {NAMES.get(name, name): value for name, value in given.items()}
    return PRXArchitecture(**sizes, input_size=resolution // shrink, caption_tokens=caption_tokens, routes=routes)


def read_pipeline(folder: Path, routes: Routes | None, resolution: int | None = None) -> PRXArchitecture:
    """The record of the model in a folder, by default with the published route and at the pipeline's own resolution.

    Raises UserError when the folder is not of diffusers' layout, holds another pipeline, or its parts do not fit.
    """
    if not (folder / INDEX).is_file():
        fix = "give a folder of diffusers' layout, such as a downloaded Photoroom/prx-512-t2i-sft"
        raise UserError(f"no pipeline is in the folder: {INDEX} is missing", where=str(folder), fix=fix)
    index = read_json(folder / INDEX)
    kind = index.get("_class_name")
    if kind != PIPELINE:
        found = kind if isinstance(kind, str) else "of unknown class"
        what = f"the pipeline is {found}, and only {PIPELINE} is known"
        raise UserError(what, where=str(folder / INDEX), fix=f"give a folder of a {PIPELINE}")
    vae = read_json(folder / "vae" / "config.json")
    transformer = read_json(folder / "transformer" / "config.json")
    longest = read_json(folder / "tokenizer" / "tokenizer_config.json").get("model_max_length", CAPTION_TOKENS)
    try:
        channels, expected = vae["latent_channels"], transformer["in_channels"]
        if channels != expected:
            raise ValueError(f"the autoencoder has {channels} channels, the transformer {expected}")
        return prx_from_config(
            transformer,
            resolution or index.get("default_sample_size", 512),
            ROUTE if routes is None else routes,
            2 ** (len(vae[STAGES[vae["_class_name"]]]) - 1),
            # transformers writes a huge number where none was set.
            min(longest, CAPTION_TOKENS),
        )
    except (ValueError, KeyError, TypeError) as error:
        what = f"the pipeline's configurations make no model ({reason(error)})"
        fix = "correct the resolution or the routes, or download the folder again"
        raise UserError(what, where=str(folder), fix=fix) from error


def _sized(request: Request) -> PRXArchitecture:
    own: dict[str, Any] = {} if request.channels is None else {"in_channels": request.channels}
    if request.own is not None:
        depth, width, heads = request.own
        # The published head has as many rotary channels for rows as for columns.
        axis = width // heads // 2
        sizes = {"depth": depth, "hidden_size": width, "num_heads": heads, "patch_size": request.patch}
        own |= {**sizes, "axes_dim": (axis, axis)}
    config = PUBLISHED | own
    routes = tread_route(config["depth"]) if request.routes is None else request.routes
    return prx_from_config(config, request.side * SHRINK, routes)


FAMILIES = (
    Family(
        name="prx",
        title="PRX",
        source="Photoroom, diffusers PRXPipeline",
        works=("photoroom2025prx",),
        rank=70,
        architecture=PRXArchitecture,
        telltales=("context_in_dim",),
        keys=(*SHAPE_KEYS, "channels", "latent_side"),
        prediction="velocity",
        drops="routed image tokens skip a range of blocks, words never do",
        samplers=FLOW_SAMPLERS,
        from_config=lambda config: prx_from_config(config, 512, ROUTE),
        sized=_sized,
        from_folder=read_pipeline,
        # Nothing says that the published weights were trained with routes.
        trained_sparse=False,
        autoencoder=OWN,
    ),
)
