"""TREAD's network trained by flow matching, the subject of Sparse Guidance: t = 1 is noise, velocity noise - image."""

from sgbench.models.families.family import Family, dit_from_config, sized_dit, tread_route
from sgbench.samplers.catalogue import FLOW_SAMPLERS

FAMILY = Family(
    name="tread-sit",
    title="SiT + TREAD",
    source="arXiv 2601.01608",
    works=("krause2025tread", "ma2024sit", "krause2026sparseguidance"),
    telltales=("routes", "enable_routing"),
    prediction="velocity",
    drops="routed tokens skip the blocks of the route and return after it",
    samplers=FLOW_SAMPLERS,
    from_config=lambda config: dit_from_config(config, learn_sigma=False),
    sized=lambda request: sized_dit(
        request, learn_sigma=False, routes=tread_route(request.size.depth), trained_gamma=0.5
    ),
)
