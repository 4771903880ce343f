"""TREAD's DiT: tokens routed past the middle blocks, trained as an EDM denoiser."""

from sgbench.models.families.family import Family, dit_from_config, sized_dit, tread_route

FAMILY = Family(
    name="tread-dit",
    title="DiT + TREAD",
    source="arXiv 2501.04765",
    works=("krause2025tread", "peebles2023dit"),
    prediction="edm",
    drops="routed tokens skip the blocks of the route and return after it",
    samplers=("edm-heun",),
    from_config=lambda config: dit_from_config(config, learn_sigma=False),
    sized=lambda request: sized_dit(
        request, learn_sigma=False, routes=tread_route(request.size.depth), trained_gamma=0.5
    ),
)
