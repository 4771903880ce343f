"""The one abstraction of guidance: a rule is a strong branch and what it is steered away from.

    guided = strong + (w - 1) (strong - weak) + s (strong - perturbed)

The middle term is weak + w (strong - weak) in other words. A branch is one denoiser call; one whose factor is 0 (w = 1,
or outside the interval) is not called. Rules that are not of this form add a pure function over the predictions of
their branches and name the space it acts in. Rules are defined without torch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import isabstract
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, assert_never, get_args

from sgbench.base.choices import require_choice
from sgbench.base.errors import UserError
from sgbench.base.signatures import refusal_of
from sgbench.guidance.perturbation import Perturbation
from sgbench.guidance.schedules import gamma_at

if TYPE_CHECKING:
    from torch import Tensor

    from sgbench.guidance.settings import Guidance, Value

Condition = Literal["given", "null", "random"]
CheckpointName = Literal["main", "auxiliary"]
Sparsity = Literal["dense", "strong", "weak", "path"]
Source = Literal["call", "previous"]
Output = Literal["final", "inner"]
Space = Literal["any", "native", "image", "velocity"]
TextForm = Literal["layers", "interval"]
Line = Literal["-", "--", ":", "-."]


class Step(NamedTuple):
    """What a rule knows of an evaluation besides the predictions of its branches."""

    x: Tensor
    """The state (B, C, H, W), of the channels that are guided."""
    time: float
    """On the clock of flow matching, whatever the model's own: 1 is noise, 0 the image."""
    noise: float
    """The level as intervals know it: t, sigma, or (timestep + 1) / 1000."""
    number: int
    """Of the sampler's step, from 0."""
    steps: int
    progress: float
    """Share of sampling that is done."""
    scale: float
    """w at this moment. Where it is 1 no function is called: the strong prediction is the guided one."""
    parameters: Mapping[str, float]
    """The rule's own parameters that are numbers."""
    memory: dict[str, Tensor]
    """The rule's own, from its first evaluation in a run of a sampler to the last."""


Predictions = Mapping[str, "Tensor"]
"""The predictions (B, C, H, W) of an evaluation by the names of the branches."""
Combine = Callable[[Predictions, Step], "Tensor"]
"""The guided prediction."""
Stop = Callable[[Predictions, Step], "Tensor"]
"""(B,), true for the images that are guided no more from the next evaluation on."""


MARKERS = ["o", "v", "^", "<", ">", "s", "p", "*", "h", "H", "D", "d", "P", "X", "8"]


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
    """One call of a denoiser: under which condition, by which checkpoint, with whose gamma, perturbed or not, when."""

    condition: Condition = "given"
    checkpoint: CheckpointName = "main"
    sparsity: Sparsity = "dense"
    perturbation: type[Perturbation] | None = None
    time: float | str = 0.0
    """Added to the time that the network is told, on the clock of flow matching: above 0 is noisier. A text is the name
    of the parameter that holds it."""
    source: Source = "call"
    """`previous` is the strong prediction of the evaluation before, which costs nothing; of the first, its own."""
    output: Output = "final"
    """`inner` is the network's inner head. Both outputs of one forward are one call."""

    def __post_init__(self) -> None:
        require_choice(self.condition, Condition, "Branch.condition")
        require_choice(self.checkpoint, CheckpointName, "Branch.checkpoint")
        require_choice(self.sparsity, Sparsity, "Branch.sparsity")
        require_choice(self.source, Source, "Branch.source")
        require_choice(self.output, Output, "Branch.output")
        kind: object = self.perturbation
        known = isinstance(kind, type) and issubclass(kind, Perturbation) and not isabstract(kind)
        if kind is not None and not known:
            raise UserError(
                f"{kind!r} is not a kind of perturbation",
                where="Branch.perturbation",
                fix="give a class that derives from Perturbation and defines its attention and its added_macs",
            )
        if self.source == "previous" and replace(self, source="call") != Branch():
            raise UserError(
                "the prediction of the evaluation before is the strong branch's as it was",
                where="Branch.source",
                fix="give nothing else beside `source`",
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

    def offset(self, guidance: Guidance) -> float:
        """What is added to the time, under the rule's parameters."""
        return guidance.numbers[self.time] if isinstance(self.time, str) else self.time


class OfBlocks(NamedTuple):
    """A default that depends on a network's blocks."""

    meaning: str
    value: Callable[[Sequence[object]], Value]
    """Of what each block costs, in running order: those of equal cost are of one kind."""


@dataclass(frozen=True)
class Parameter:
    """A setting that only some rules have."""

    name: str
    meaning: str
    low: float = 0.0
    high: float = math.inf
    default: Value | OfBlocks | None = None
    """The value where a suite gives none; None for a setting that must be given."""
    text: TextForm | None = None
    """The text form it is written in, if it is not a number."""
    whole: bool = False

    def __post_init__(self) -> None:
        if self.text is not None:
            require_choice(self.text, TextForm, "Parameter.text")

    def usual(self, blocks: Sequence[object]) -> Value | None:
        """The default in a network whose blocks cost so much each, in running order."""
        return self.default.value(blocks) if isinstance(self.default, OfBlocks) else self.default


@dataclass(frozen=True)
class Rule:
    """A guidance rule: its branches, its settings, its names and its source."""

    name: str
    title: str = ""
    """As reports call it; the name where it has none."""
    source: str = ""
    formula: str = ""
    strong: Branch = Branch()
    weak: Branch | None = None
    perturbed: Branch | None = None
    others: Mapping[str, Branch] = field(default_factory=dict, hash=False)
    """Further branches by name, of a rule with `combine`; called where the weak one is."""
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
    """The pure function over the predictions of a rule that is not linear. It may need no branch but the strong one."""
    stop: Stop | None = None
    """When guidance ends for good, for each image apart: from the next evaluation on its strong branch alone is called.
    The cost of such a rule is known once it ran."""
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
        if not all(isinstance(parameter, Parameter) for parameter in self.parameters):
            what, fix = "`parameters` holds what is no Parameter", "write parameters=(Parameter(...),)"
            raise UserError(what, where=f"the rule {self.name}", fix=fix)
        names = [parameter.name for parameter in self.parameters]
        object.__setattr__(self, "title", self.title or self.name)
        faults = (
            (
                self.perturbed is not None and self.perturbed.sparsity != "dense",
                "a perturbed branch has no random stream for its kept tokens",
                'give `perturbed` sparsity="dense"',
            ),
            (
                any(branch.perturbation for branch in self.branches) and "layers" not in names,
                "nothing says which blocks are perturbed",
                "add LAYERS of sgbench.guidance.rules.perturbed_attention to `parameters`",
            ),
            (
                self.perturbed is not None and "perturb_scale" not in names,
                "nothing says how strong the push away from the perturbed branch is",
                "add STRENGTH of sgbench.guidance.rules.perturbed_attention to `parameters`",
            ),
            (
                bool(self.others) and self.combine is None,
                f"nothing says what becomes of the branches {', '.join(self.others)}",
                "give `combine`",
            ),
            (
                not {"strong", "weak", "perturbed"}.isdisjoint(self.others),
                "a branch of `others` has the name of another",
                "rename it",
            ),
            (
                self.stop is not None and (self.combine is not None or self.weak is None),
                "a rule that stops guidance needs a weak branch and no `combine`",
                "give `weak`, or leave `stop` out",
            ),
            (
                not re.fullmatch("#[0-9A-Fa-f]{6}", self.style.colour)
                or self.style.marker not in MARKERS
                or self.style.line not in get_args(Line),
                f"the style {tuple(self.style)} cannot be drawn",
                f"give a colour such as #0072B2, a marker of {' '.join(MARKERS)}, and a line of {get_args(Line)}",
            ),
            *(
                (
                    bool(taken := refusal_of(function, "predictions", "step")),
                    f"`{name}` takes {taken}",
                    "let it take (predictions, step)",
                )
                for name, function in (("combine", self.combine), ("stop", self.stop))
                if function is not None
            ),
            *(
                (
                    isinstance(branch.time, str) and branch.time not in names,
                    f"the {name} branch is of the time {branch.time!r}, and no parameter is called so",
                    f"add Parameter({branch.time!r}, ...) to `parameters`, or give a number",
                )
                for name, branch in self.named.items()
            ),
            (
                self.strong.source != "call" or self.strong.output != "final" or self.strong.time != 0,
                "the strong branch is the network's prediction at the time of the step",
                "put the time, source or output into another branch",
            ),
        )
        for wrong, what, fix in faults:
            if wrong:
                raise UserError(what, where=f"the rule {self.name}", fix=fix)

    @property
    def named(self) -> dict[str, Branch]:
        """The branches of a fully guided step by name, strong first."""
        found = {"strong": self.strong, "weak": self.weak, "perturbed": self.perturbed, **self.others}
        return {name: branch for name, branch in found.items() if branch is not None}

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The branches of a fully guided step, strong first."""
        return tuple(self.named.values())

    @property
    def guided(self) -> bool:
        return len(self.branches) > 1 or self.combine is not None

    @property
    def takes_scale(self) -> bool:
        return self.weak is not None or self.combine is not None

    @property
    def takes_gamma_strong(self) -> bool:
        return any(branch.sparsity == "strong" for branch in self.branches)

    @property
    def takes_gamma_weak(self) -> bool:
        return any(branch.sparsity == "weak" for branch in self.branches)

    @property
    def needs_auxiliary(self) -> bool:
        return any(branch.checkpoint == "auxiliary" for branch in self.branches)

    @property
    def needs_null(self) -> bool:
        return any(branch.condition == "null" for branch in self.branches)

    @property
    def needs_inner(self) -> bool:
        return any(branch.output == "inner" for branch in self.branches)

    @property
    def drops_path(self) -> bool:
        return any(branch.sparsity == "path" for branch in self.branches)


def forward(branch: Branch) -> Branch:
    """The forward pass of a branch, whichever of its outputs it is: branches of one forward are one call."""
    return replace(branch, output="final")
