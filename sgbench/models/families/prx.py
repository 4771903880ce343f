"""PRX (Photoroom): text to image by a folder of diffusers' layout; routes as in TREAD around its blocks."""

from sgbench.models.architectures import PRXArchitecture
from sgbench.models.autoencoder_files import OWN
from sgbench.models.families.family import Family, Request
from sgbench.models.pipeline_folder import prx_from_config

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
# Photoroom's own TREAD runs: from block 2 to 12, half of the tokens.
ROUTE = ((2, 12),)
SHRINK = 8


def _sized(request: Request) -> PRXArchitecture:
    routes = ROUTE if request.routes is None else request.routes
    return prx_from_config(PUBLISHED, request.side * SHRINK, routes, SHRINK)


FAMILY = Family(
    name="prx",
    title="PRX",
    source="Photoroom, diffusers PRXPipeline",
    works=("photoroom2025prx",),
    telltales=("context_in_dim",),
    prediction="velocity",
    drops="routed image tokens skip a range of blocks, words never do",
    samplers=("euler", "heun", "euler-maruyama"),
    from_config=lambda config: prx_from_config(config, 512, ROUTE),
    sized=_sized,
    # Nothing says that the published weights were trained with routes.
    trained_sparse=False,
    text=True,
    pipeline=True,
    autoencoder=OWN,
)
