"""The one abstraction of guidance: a rule is a strong branch and perhaps a weak one; a branch is one denoiser call.

    guided = weak + w (strong - weak)

Every rule here is linear, so the combination is the same in velocity, noise and data space. No torch is
needed to say what a rule is; `combine` works on whatever supports arithmetic.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeVar

from sgbench.suite.cell import Guidance

T = TypeVar("T")


class Branch(NamedTuple):
    """One call of a denoiser: under which condition, by which checkpoint, and with whose gamma."""

    condition: Literal["given", "null", "random"] = "given"
    checkpoint: Literal["main", "auxiliary"] = "main"
    sparsity: Literal["dense", "strong", "weak", "path"] = "dense"

    def gamma(self, guidance: Guidance) -> float:
        """Share of tokens that skip work in this branch; all of them where the whole path is dropped."""
        return {"dense": 0.0, "strong": guidance.gamma_strong, "weak": guidance.gamma_weak, "path": 1.0}[self.sparsity]


class Rule(NamedTuple):
    """A guidance rule: its branches, its names and its source."""

    name: str
    title: str
    source: str
    strong: Branch
    weak: Branch | None = None
    sparser_weak: bool = False
    """Whether gamma_strong < gamma_weak is what makes the weak branch weak."""

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The denoiser calls of one step, strong first."""
        return (self.strong,) if self.weak is None else (self.strong, self.weak)

    @property
    def takes_scale(self) -> bool:
        return self.weak is not None

    @property
    def takes_gamma_strong(self) -> bool:
        return self.strong.sparsity == "strong"

    @property
    def takes_gamma_weak(self) -> bool:
        return self.weak is not None and self.weak.sparsity == "weak"

    @property
    def needs_auxiliary(self) -> bool:
        return any(branch.checkpoint == "auxiliary" for branch in self.branches)

    @property
    def drops_path(self) -> bool:
        return any(branch.sparsity == "path" for branch in self.branches)

    def optional(self, key: str) -> bool:
        """Whether a suite may leave `key` out: only the unguided rule's gamma, which then is 0."""
        return key == "gamma_strong" and self.weak is None


def combine(strong: T, weak: T, scale: float) -> T:
    """weak + w (strong - weak); w = 1 is the strong prediction (arXiv 2601.01608, eq. 3 and 7)."""
    return weak + scale * (strong - weak)  # type: ignore[operator]
