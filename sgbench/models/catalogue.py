"""Models by name, as far as a suite needs to know them: architecture, checkpoints, abilities. No torch."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from sgbench.errors import UserError
from sgbench.guidance import RULES
from sgbench.models.architecture import DiTArchitecture, MaskDiTArchitecture
from sgbench.zoo import recipe, weights


class Entry(NamedTuple):
    """One model that a suite may name."""

    name: str
    architecture: DiTArchitecture | MaskDiTArchitecture
    has_early_checkpoint: bool

    @property
    def can_drop_tokens(self) -> bool:
        """Whether the family has a place where tokens leave."""
        a = self.architecture
        return isinstance(a, MaskDiTArchitecture) or bool(a.routes)

    @property
    def trained_sparse(self) -> bool:
        """Whether token sparsity was part of training; if not, a dropped token is out of distribution."""
        return self.architecture.trained_gamma > 0

    def checkpoint_hashes(self, rule: str) -> dict[str, str]:
        """sha256 of each checkpoint that `rule` calls."""
        hashes = {"main": weights.checkpoint_sha256(self.name)}
        if RULES[rule].needs_auxiliary:
            hashes["auxiliary"] = weights.checkpoint_sha256(self.name, "early")
        return hashes


def names() -> list[str]:
    """Names of all models, in alphabetical order."""
    return recipe.recipe_names()


@cache
def entry(name: str) -> Entry:
    """The model called `name`. Raises UserError when there is none."""
    if name not in names():
        raise UserError(f"there is no model {name!r}", where="model", fix=f"choose one of: {', '.join(names())}")
    return Entry(name, recipe.load_recipe(name).architecture, "early" in weights.card(name)["files"])
