"""SiT (Ma et al.): dense, predicts image - noise with t = 1 at the image.

Its last layer has a second half, for a variance, that the published forward pass throws away; here that half is
neither computed nor counted, and the rows for it in a checkpoint are left out on loading.
"""

from sgbench.models.families.family import Family, dit_from_config, sized_dit
from sgbench.samplers.catalogue import FLOW_SAMPLERS

FAMILY = Family(
    name="sit",
    title="SiT",
    source="arXiv 2401.08740",
    works=("ma2024sit",),
    prediction="velocity-from-noise",
    drops="nothing; a route can be forced, which it was not trained for",
    samplers=FLOW_SAMPLERS,
    from_config=lambda config: dit_from_config(config, learn_sigma=True, sigma_used=False),
    sized=lambda request: sized_dit(request, learn_sigma=False, routes=(), trained_gamma=0.0),
    guided_channels=3,
    unused_half=True,
    trained_sparse=False,
)
