"""DiT (Peebles and Xie): dense, predicts noise and its variance on the clock of a 1000-step process."""

from sgbench.models.families.family import Family, dit_from_config, sized_dit
from sgbench.samplers.catalogue import DISCRETE_SAMPLERS

FAMILY = Family(
    name="dit",
    title="DiT",
    source="arXiv 2212.09748",
    works=("peebles2023dit",),
    prediction="epsilon",
    drops="nothing; a route can be forced, which it was not trained for",
    samplers=DISCRETE_SAMPLERS,
    from_config=lambda config: dit_from_config(config, learn_sigma=True),
    sized=lambda request: sized_dit(request, learn_sigma=True, routes=(), trained_gamma=0.0),
    guided_channels=3,
    trained_sparse=False,
)
