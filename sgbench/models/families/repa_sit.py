"""SiT trained with REPA (Yu et al.): dense, predicts noise - image with t = 1 at noise; its projectors are not used."""

from sgbench.models.families.family import Family, dit_from_config, sized_dit
from sgbench.samplers.catalogue import FLOW_SAMPLERS

FAMILY = Family(
    name="repa-sit",
    title="SiT + REPA",
    source="arXiv 2410.06940",
    works=("yu2025repa", "ma2024sit"),
    telltales=("z_dims",),
    prediction="velocity",
    drops="nothing; a route can be forced, which it was not trained for",
    samplers=FLOW_SAMPLERS,
    float64_state=True,
    from_config=lambda config: dit_from_config(config, learn_sigma=False),
    sized=lambda request: sized_dit(request, learn_sigma=False, routes=(), trained_gamma=0.0),
    trained_sparse=False,
)
