"""Guidance rules, one per file. Nothing here needs torch before a prediction is combined."""

from sgbench.guidance import (
    apg,
    autoguidance,
    autoguidance_sparse,
    cfg,
    cfg_plus_plus,
    cfg_sparse,
    cfg_zero,
    icg,
    none,
    path_drop,
    perturbed_attention,
    skip_layers,
    smoothed_energy,
    sparse,
    stochastic_blocks,
    tangential,
)
from sgbench.guidance.branches import Branch as Branch
from sgbench.guidance.branches import Rule as Rule
from sgbench.guidance.branches import combine as combine
from sgbench.guidance.branches import push as push

RULES: dict[str, Rule] = {
    module.RULE.name: module.RULE
    for module in (
        *(none, cfg, icg, autoguidance, sparse, cfg_sparse, autoguidance_sparse, path_drop),
        *(apg, cfg_plus_plus, cfg_zero, tangential),
        *(perturbed_attention, smoothed_energy, skip_layers, stochastic_blocks),
    )
}
