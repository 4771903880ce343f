"""SiT (Ma et al.): dense, predicts image - noise with t = 1 at the image; a second half of its output is unused."""

from sgbench.models.families.family import Family, dit_from_config, sized_dit

FAMILY = Family(
    name="sit",
    title="SiT",
    source="arXiv 2401.08740",
    prediction="velocity-from-noise",
    drops="nothing; a route can be forced, which it was not trained for",
    samplers=("euler",),
    from_config=lambda config: dit_from_config(config, learn_sigma=True),
    sized=lambda request: sized_dit(request, learn_sigma=True, routes=(), trained_gamma=0.0),
    guided_channels=3,
    trained_sparse=False,
)
