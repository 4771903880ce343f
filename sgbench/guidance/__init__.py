"""Guidance rules, one per file."""

from sgbench.guidance import autoguidance, autoguidance_sparse, cfg, cfg_sparse, icg, none, path_drop, sparse
from sgbench.guidance.branches import Branch as Branch
from sgbench.guidance.branches import Rule as Rule
from sgbench.guidance.branches import combine as combine

RULES: dict[str, Rule] = {
    module.RULE.name: module.RULE
    for module in (none, cfg, icg, autoguidance, sparse, cfg_sparse, autoguidance_sparse, path_drop)
}
