"""The one abstraction of guidance: a rule is a strong branch and what it is steered away from.

    guided = strong + (w - 1) (strong - weak) + s (strong - perturbed)

The middle term is weak + w (strong - weak) in other words. A branch is one denoiser call; one whose factor is 0 (w = 1,
or outside the interval) is not called. Rules that are not of this form add a pure function over the two predictions
and name the space it acts in. Rules are defined without torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import isabstract
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, assert_never

from sgbench.base.choices import require_choice
from sgbench.base.errors import UserError
from sgbench.guidance.perturbation import Perturbation
from sgbench.guidance.schedules import gamma_at

if TYPE_CHECKING:
    from torch import Tensor

    from sgbench.guidance.settings import Guidance, Value

T = TypeVar("T")
Condition = Literal["given", "null", "random"]
CheckpointName = Literal["main", "auxiliary"]
Sparsity = Literal["dense", "strong", "weak", "path"]
Space = Literal["any", "native", "image", "velocity"]
TextForm = Literal["layers", "interval"]
Line = Literal["-", "--", ":", "-."]
Combine = Callable[["Tensor", "Tensor", float, Mapping[str, float], "dict[str, Tensor]"], "Tensor"]
"""(strong, weak, w, parameters, memory) to the guided prediction; memory lasts for one run of a sampler.

Parameters are those of the rule that are numbers."""


class Style(NamedTuple):
    """How figures draw a rule: colour (Okabe and Ito's palette, safe for colour-blind readers), marker and line.

    Beyond seven colours related rules share one; the marker and the line tell them apart.
    """

    colour: str = "#7F7F7F"
    marker: str = "o"
    line: Line = "-"


PLAIN = Style()


@dataclass(frozen=True)
class Branch:
    """One call of a denoiser: under which condition, by which checkpoint, with whose gamma, perturbed or not."""

    condition: Condition = "given"
    checkpoint: CheckpointName = "main"
    sparsity: Sparsity = "dense"
    perturbation: type[Perturbation] | None = None

    def __post_init__(self) -> None:
        require_choice(self.condition, Condition, "Branch.condition")
        require_choice(self.checkpoint, CheckpointName, "Branch.checkpoint")
        require_choice(self.sparsity, Sparsity, "Branch.sparsity")
        kind: object = self.perturbation
        known = isinstance(kind, type) and issubclass(kind, Perturbation) and not isabstract(kind)
        if kind is not None and not known:
            raise UserError(
                f"{kind!r} is not a kind of perturbation",
                where="Branch.perturbation",
                fix="give a class that derives from Perturbation and defines its attention and its added_macs",
            )

    def gamma(self, guidance: Guidance, progress: float = 0.0) -> float:
        """Share of tokens that skip work in this branch; all of them where the whole path is dropped."""
        match self.sparsity:
            case "strong":
                return gamma_at(guidance.gamma_strong, progress)
            case "weak":
                return gamma_at(guidance.gamma_weak, progress)
            case "path":
                return 1.0
            case "dense":
                return 0.0
            case _:
                assert_never(self.sparsity)


@dataclass(frozen=True)
class Parameter:
    """A setting that only some rules have."""

    name: str
    meaning: str
    low: float = 0.0
    high: float = math.inf
    default: Value | None = None
    """The value where a suite gives none; None for a setting that must be given."""
    text: TextForm | None = None
    """The text form it is written in, if it is not a number."""
    whole: bool = False

    def __post_init__(self) -> None:
        if self.text is not None:
            require_choice(self.text, TextForm, "Parameter.text")


@dataclass(frozen=True)
class Rule:
    """A guidance rule: its branches, its settings, its names and its source."""

    name: str
    title: str
    source: str
    formula: str
    strong: Branch
    weak: Branch | None = None
    perturbed: Branch | None = None
    parameters: tuple[Parameter, ...] = ()
    scale_range: tuple[float, float] = (1.0, math.inf)
    scale_default: float | None = None
    sparser_weak: bool = False
    """Whether gamma_strong < gamma_weak is what makes the weak branch weak."""
    gammas_default: float | None = None
    """The gammas where a suite gives none; None where they must be given."""
    dense_because: str = ""
    """Why no branch can drop tokens, where there is a reason."""
    combine: Combine | None = None
    """The pure function over the predictions of a rule that is not linear."""
    space: Space = "any"
    """Where it acts: any space for a linear rule, the network's own prediction, the denoised image, the velocity."""
    samplers: tuple[str, ...] = ()
    """Samplers it works with, where it does not work with all."""
    replaces_update: bool = False
    """Whether its samplers take a step of its own, which also needs the weak prediction (`solve_plus_plus`)."""
    note: str = ""
    works: tuple[str, ...] = ()
    """What to cite: keys of `report/citations/references.bib`."""
    style: Style = PLAIN
    rank: int = 1000
    """Its place in lists and legends; of equals, the first by name."""
    example: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Settings at which its cost is quoted, where it has no defaults."""

    def __post_init__(self) -> None:
        require_choice(self.space, Space, "Rule.space")
        if self.perturbed is not None and self.perturbed.sparsity != "dense":
            raise UserError(
                "a perturbed branch has no random stream for its kept tokens",
                where=f"Rule.perturbed of {self.name}",
                fix='give it sparsity="dense"',
            )

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The denoiser calls of a fully guided step, strong first."""
        return tuple(branch for branch in (self.strong, self.weak, self.perturbed) if branch is not None)

    @property
    def guided(self) -> bool:
        return len(self.branches) > 1

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
    def needs_null(self) -> bool:
        return any(branch.condition == "null" for branch in self.branches)

    @property
    def drops_path(self) -> bool:
        return any(branch.sparsity == "path" for branch in self.branches)


def combine(strong: T, weak: T, scale: float) -> T:
    """weak + w (strong - weak); w = 1 is the strong prediction (arXiv 2601.01608, eq. 3 and 7)."""
    return weak + scale * (strong - weak)  # type: ignore[operator]


def add_perturbed_guidance(guided: T, strong: T, perturbed: T, strength: float) -> T:
    """Away from a perturbed prediction, on top of other guidance: guided + s (strong - perturbed)."""
    return guided + strength * (strong - perturbed)  # type: ignore[operator]


def rescale(guided: Tensor, strong: Tensor, share: float) -> Tensor:
    """CFG-rescale: guided (phi std(strong) / std(guided) + 1 - phi), deviations per sample over (C, H, W).

    Shrinks any rule's prediction (B, C, H, W) towards the strong one's spread; 0 changes nothing (Lin et al., arXiv
    2305.08891, section 3.4). The prediction is the family's: velocity, noise, or EDM's denoised image.
    """
    dims = tuple(range(1, guided.ndim))
    ratio = strong.std(dims, keepdim=True) / guided.std(dims, keepdim=True)
    return guided * (share * ratio + (1 - share))
