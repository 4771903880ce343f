"""The families around the DiT network: DiT and SiT, dense, with REPA, an inner head or TREAD's routes. No torch."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from sgbench.models.architecture import Macs, RoutedArchitecture, VarianceArchitecture, block, final
from sgbench.models.family import Family, Request, Shapes, backbone, flag, published, tread_route, whole
from sgbench.samplers.catalogue import DISCRETE_SAMPLERS, EDM_SAMPLERS, FLOW_SAMPLERS

# Of REPA's constructor: what its projectors are like, which sampling does not need.
PROJECTORS = ("decoder_hidden_size", "encoder_depth", "z_dims", "projector_dim", "use_cfg", "path_type", "fused_attn")


class DiTArchitecture(VarianceArchitecture, RoutedArchitecture):
    """DiT (arXiv 2212.09748), dense or with TREAD's routes (Krause et al., arXiv 2501.04765)."""

    network: ClassVar[str] = "sgbench.networks.dit:DiT"
    telltale_parts: ClassVar[frozenset[str]] = frozenset(
        {"x_embedder", "t_embedder", "y_embedder", "blocks", "final_layer"}
    )

    family: Literal["dit"] = "dit"
    inner_block: int | None = Field(
        default=None, ge=0, description="block, from 0, after which a second last layer predicts; none where it is None"
    )

    @model_validator(mode="after")
    def _inner_block_inside(self) -> "DiTArchitecture":
        if self.inner_block is not None and self.inner_block >= self.depth:
            raise ValueError(f"an inner head after block {self.inner_block} is outside blocks 0..{self.depth - 1}")
        return self

    @property
    def has_inner_head(self) -> bool:
        return self.inner_block is not None

    def inner_macs(self) -> Macs:
        if self.inner_block is None:
            return super().inner_macs()
        grid, width = self.grid_tokens, self.hidden_size
        return final(grid, width, self.patch_size**2 * self.out_channels, width)

    def block_macs(self, kept: int) -> list[Macs]:
        grid, width = self.grid_tokens, self.hidden_size
        return self.routed(block(grid, width, width), block(kept, width, width))


# The block after which the published models of Internal Guidance have their inner head, counted from 1.
INNER_DEPTH = 8


def _from_config(
    config: Mapping[str, Any], learn_sigma: bool, sigma_used: bool = True, inner: bool = False
) -> DiTArchitecture:
    """The record, without the half of the output that the published sampler ignores."""
    sizes = backbone(config)
    doubled = 2 if flag(config, "learn_sigma", learn_sigma) and sigma_used else 1
    routes = config.get("routes") or []
    if not flag(config, "enable_routing", True):
        routes = []
    return DiTArchitecture(
        **sizes,
        depth=whole(config, "depth"),
        out_channels=sizes["in_channels"] * doubled,
        routes=tuple((route["start_layer_idx"], route["end_layer_idx"]) for route in routes),
        trained_gamma=max((route["selection_ratio"] for route in routes), default=0.0),
        inner_block=whole(config, "encoder_depth", INNER_DEPTH) - 1 if inner else None,
    )


def _sized(
    request: Request, learn_sigma: bool, sigma_used: bool = True, gamma: float = 0.0, inner: bool = False
) -> DiTArchitecture:
    """The record of a size. TREAD (`gamma` above 0) has a route from block 2 to the fourth from the end."""
    own = tread_route(request.size.depth) if gamma and request.routes is None else ()
    routes = own if request.routes is None else request.routes
    named = [{"start_layer_idx": first, "end_layer_idx": last, "selection_ratio": gamma} for first, last in routes]
    depth = request.size.depth
    head = {"encoder_depth": INNER_DEPTH if depth > INNER_DEPTH else max(1, depth // 2)} if inner else {}
    return _from_config({**published(request), "routes": named, **head}, learn_sigma, sigma_used, inner)


def _has_projectors(shapes: Shapes) -> bool:
    """Whether REPA's projectors are among the weights."""
    return any(name.startswith("projectors.") for name in shapes)


def _has_inner_head(shapes: Shapes) -> bool:
    """Whether the second last layer of Internal Guidance is among the weights."""
    return "final_layer_xr.linear.weight" in shapes


def _learned_sigma(shapes: Shapes) -> bool:
    """Whether the last layer has twice the input's channels."""
    embed, out = shapes.get("x_embedder.proj.weight", ()), shapes.get("final_layer.linear.weight", ())
    return len(embed) == 4 and len(out) > 0 and out[0] // embed[2] ** 2 == 2 * embed[1]


def _fits_plain(shapes: Shapes) -> bool:
    return not _has_projectors(shapes) and not _has_inner_head(shapes)


def _fits_tread(shapes: Shapes) -> bool:
    return _fits_plain(shapes) and not _learned_sigma(shapes)


# EDM denoiser.
TREAD_DIT = Family(
    name="tread-dit",
    title="DiT + TREAD",
    source="arXiv 2501.04765",
    works=("krause2025tread", "peebles2023dit"),
    rank=10,
    architecture=DiTArchitecture,
    fits=_fits_tread,
    prediction="edm",
    drops="routed tokens skip the blocks of the route and return after it",
    samplers=EDM_SAMPLERS,
    from_config=partial(_from_config, learn_sigma=False),
    sized=partial(_sized, learn_sigma=False, gamma=0.5),
)
# The subject of Sparse Guidance: t = 1 is noise, velocity noise - image.
TREAD_SIT = replace(
    TREAD_DIT,
    name="tread-sit",
    title="SiT + TREAD",
    source="arXiv 2601.01608",
    works=("krause2025tread", "ma2024sit", "krause2026sparseguidance"),
    rank=20,
    telltales=("routes", "enable_routing"),
    prediction="velocity",
    samplers=FLOW_SAMPLERS,
)
# Predicts noise and its variance on the clock of a 1000-step process.
DIT = Family(
    name="dit",
    title="DiT",
    source="arXiv 2212.09748",
    works=("peebles2023dit",),
    rank=80,
    architecture=DiTArchitecture,
    fits=_fits_plain,
    prediction="epsilon",
    drops="nothing; a route can be forced, which it was not trained for",
    samplers=DISCRETE_SAMPLERS,
    from_config=partial(_from_config, learn_sigma=True),
    sized=partial(_sized, learn_sigma=True),
    guided_channels=3,
    trained_sparse=False,
)
# Predicts image - noise with t = 1 at the image. Its last layer has a second half, for a variance, that the published
# forward pass discards; here it is neither computed nor counted, and left out when weights are loaded.
SIT = replace(
    DIT,
    name="sit",
    title="SiT",
    source="arXiv 2401.08740",
    works=("ma2024sit",),
    rank=90,
    prediction="velocity-from-noise",
    samplers=FLOW_SAMPLERS,
    from_config=partial(_from_config, learn_sigma=True, sigma_used=False),
    sized=partial(_sized, learn_sigma=True, sigma_used=False),
    unused_half=True,
)
# Predicts noise - image with t = 1 at noise; the projectors of its training are not used.
REPA_SIT = replace(
    DIT,
    name="repa-sit",
    title="SiT + REPA",
    source="arXiv 2410.06940",
    works=("yu2025repa", "ma2024sit"),
    rank=100,
    telltales=("z_dims",),
    fixed={"qk_norm": False},
    unused=PROJECTORS,
    fits=_has_projectors,
    prediction="velocity",
    samplers=FLOW_SAMPLERS,
    float64_state=True,
    from_config=partial(_from_config, learn_sigma=False),
    sized=partial(_sized, learn_sigma=False),
    guided_channels=None,
)
# As REPA's, with a second last layer after an inner block in the projectors' place.
IG_SIT = replace(
    REPA_SIT,
    name="ig-sit",
    title="SiT + IG",
    source="arXiv 2512.24176",
    works=("zhou2026ig", "ma2024sit"),
    rank=105,
    telltales=("encoder_depth",),
    unused=("decoder_hidden_size", "use_cfg", "path_type", "fused_attn"),
    fits=_has_inner_head,
    from_config=partial(_from_config, learn_sigma=False, inner=True),
    sized=partial(_sized, learn_sigma=False, inner=True),
    note=f"the inner head is after block {INNER_DEPTH}, as published, or in the middle of as many blocks or fewer, "
    "unless a config's encoder_depth says otherwise: weights do not say which",
)
FAMILIES = (TREAD_DIT, TREAD_SIT, DIT, SIT, REPA_SIT, IG_SIT)
