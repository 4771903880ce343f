"""How many tokens a branch keeps, which ones, and how two branches' choices go together."""

import math
from typing import Literal

SubsetRule = Literal["exact", "bernoulli", "fixed", "groups"]
Sharing = Literal["independent", "shared"]
SUBSETS: dict[SubsetRule, str] = {
    "exact": "N - int(N gamma) tokens, fresh per image, branch and evaluation (the released code)",
    "bernoulli": "an independent coin per token (the paper's text); how many are kept is common to a step's images",
    "fixed": "exact, and the same tokens at every step of a run",
    "groups": "as many of every 2 x 2 tokens, of every 2 x 4 for eighths (SPRINT's training)",
}
SHARING: dict[Sharing, str] = {
    "independent": "each branch draws its own tokens",
    "shared": "both branches keep the first tokens of one order: the same at equal gamma, else nested",
}


def kept_tokens(grid: int, gamma: float) -> int:
    """Tokens that do work at sparsity gamma: N - int(N gamma)."""
    return grid - int(grid * gamma)


def group_shape(gamma: float) -> tuple[int, int] | None:
    """Rows and columns of the smallest groups of which a share gamma is a whole number of tokens: 2 x 2, or 2 x 4."""
    for rows, columns in ((2, 2), (2, 4)):
        dropped = rows * columns * gamma
        if math.isclose(dropped, round(dropped), abs_tol=1e-9):
            return rows, columns
    return None
