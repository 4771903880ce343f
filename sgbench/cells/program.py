"""The calls of a cell, evaluation by evaluation: the one list that costs are counted from and the engine executes."""

from collections import Counter
from functools import lru_cache
from typing import Final, NamedTuple

from sgbench.cells.cell import Cell
from sgbench.guidance import RULES, Branch
from sgbench.guidance.branches import forward
from sgbench.guidance.perturbation import Layers, Perturbation
from sgbench.guidance.rules.cfg_zero import ZERO_STEPS
from sgbench.guidance.schedules import ALWAYS, CONSTANT, GammaSchedule, Interval
from sgbench.guidance.settings import Guidance, Segments
from sgbench.guidance.subset_rules import kept_tokens
from sgbench.models import catalogue
from sgbench.samplers.catalogue import moments
from sgbench.samplers.settings import Moment

STRONG: Final = "strong"
ANY_SCALE = 2.0


class Call(NamedTuple):
    """One denoiser call as far as its cost and its result depend on it."""

    slot: str
    """The name of the branch whose prediction it gives; empty where only the inner head's is wanted."""
    branch: Branch
    gamma: float
    kept: int
    perturbation: Perturbation | None = None
    offset: float = 0.0
    """Added to the time that the network is told, on the clock of flow matching."""
    inner: str = ""
    """The name of the branch that is the inner head's prediction of the same forward, if any."""


class Evaluation(NamedTuple):
    """One evaluation of the guided prediction: when, how strongly, and the calls it takes; none where it is zero."""

    moment: Moment
    guidance: Guidance
    """What guides here: the cell's guidance, or a segment of it."""
    scale: float
    strength: float
    """The push away from the perturbed branch."""
    calls: tuple[Call, ...]

    @property
    def steers(self) -> bool:
        """Whether the weak branch and others are part of it."""
        rule = RULES[self.guidance.rule]
        return self.scale != 1 or (rule.replaces_update and _acts(self.guidance.interval, self.moment))


@lru_cache(maxsize=4096)
def program(cell: Cell) -> tuple[Evaluation, ...]:
    """Every evaluation of one image's run, in order."""
    return tuple(_evaluation(cell, number, moment) for number, moment in enumerate(moments(cell.sampler)))


def may_stop(cell: Cell) -> bool:
    """Whether guidance ends where the images say so: what an image costs is known once it is there."""
    return any(RULES[one.rule].stop is not None for one in cell.guidance.segments or (cell.guidance,))


def call_counts(cell: Cell) -> tuple[tuple[Call, int], ...]:
    """The different calls of one image and how often each is made at most, in the order they first occur."""
    guidance = _any_scale(cell.guidance)._replace(segments=Segments(map(_any_scale, cell.guidance.segments)))
    return _call_counts(cell._replace(guidance=guidance))


def _any_scale(guidance: Guidance) -> Guidance:
    """The scale of guidance that always acts changes no call: a sweep over scales is counted once."""
    if guidance.scale_schedule != CONSTANT or guidance.scale == 1:
        return guidance
    return guidance._replace(scale=ANY_SCALE)


@lru_cache(maxsize=1 << 16)
def _call_counts(cell: Cell) -> tuple[tuple[Call, int], ...]:
    found = moments(cell.sampler)
    if _is_steady(cell.guidance):
        groups = Counter({_evaluation(cell, 0, found[0]).calls: len(found)})
    else:
        groups = Counter(_evaluation(cell, number, moment).calls for number, moment in enumerate(found))
    counts: Counter[Call] = Counter()
    for calls, times in groups.items():
        for call in calls:
            counts[call] += times
    return tuple(counts.items())


def _is_steady(guidance: Guidance) -> bool:
    """Whether every evaluation makes the same calls."""
    rule = RULES[guidance.rule]
    moves = isinstance(guidance.gamma_strong, GammaSchedule) or isinstance(guidance.gamma_weak, GammaSchedule)
    kinds = [branch.perturbation for branch in rule.branches]
    drawn = guidance.subset == "bernoulli" or any(kind is not None and kind.draws_blocks for kind in kinds)
    limited = guidance.interval != ALWAYS or guidance.parameter("perturb_interval", ALWAYS) != ALWAYS
    scheduled = guidance.scale_schedule != CONSTANT or guidance.parameter(ZERO_STEPS, 0.0) > 0
    return not (moves or drawn or limited or scheduled or guidance.segments)


def _evaluation(cell: Cell, number: int, moment: Moment) -> Evaluation:
    guidance = cell.guidance.at(moment.progress, moment.noise)
    rule = RULES[guidance.rule]
    if moment.step < guidance.parameter(ZERO_STEPS, 0.0):
        return Evaluation(moment, guidance, 1.0, 0.0, ())
    scale, strength = factors(guidance, moment)
    found = Evaluation(moment, guidance, scale, strength, ())
    calls: list[Call] = []
    for slot, branch in rule.named.items():
        wanted = slot == STRONG or (strength != 0 if slot == "perturbed" else found.steers)
        if wanted and branch.source == "call":
            _add(calls, _call(cell, guidance, number, moment, slot, branch))
    return found._replace(calls=tuple(calls))


def _add(calls: list[Call], call: Call) -> None:
    """Add a call to those of an evaluation; an inner head whose forward is one of them is that call's second output."""
    if call.branch.output == "final":
        for position, other in enumerate(calls):
            if not other.slot and forward(other.branch) == call.branch:
                calls[position] = call._replace(inner=other.inner)
                return
        calls.append(call)
        return
    whole = forward(call.branch)
    for position, other in enumerate(calls):
        if other.branch == whole and not other.inner:
            calls[position] = other._replace(inner=call.slot)
            return
    calls.append(call._replace(slot="", inner=call.slot))


def factors(guidance: Guidance, moment: Moment) -> tuple[float, float]:
    """w and s at a moment: 1 and 0 where guidance does not act."""
    rule = RULES[guidance.rule]
    scale, strength = 1.0, 0.0
    if not _acts(guidance.interval, moment):
        return scale, strength
    share = guidance.scale_schedule.at(moment.progress)
    if rule.takes_scale:
        # CFG++ is weakest at 0, all other rules are at 1.
        scale = guidance.scale * share if rule.replaces_update else 1 + (guidance.scale - 1) * share
    if rule.perturbed is not None and _acts(guidance.parameter("perturb_interval", ALWAYS), moment):
        strength = guidance.parameter("perturb_scale", 0.0) * share
    return scale, strength


def _acts(interval: Interval, moment: Moment) -> bool:
    return interval.holds(moment.progress, moment.noise)


def _call(cell: Cell, guidance: Guidance, number: int, moment: Moment, slot: str, branch: Branch) -> Call:
    gamma = branch.gamma(guidance, moment.progress)
    grid = catalogue.entry(cell.model).architecture.grid_tokens
    kept = kept_tokens(grid, gamma)
    if guidance.subset == "bernoulli" and 0 < gamma < 1:
        kept = _bernoulli_count(cell.seed, guidance, slot, number, grid, gamma)
    return Call(slot, branch, gamma, kept, _perturbation(cell, guidance, number, branch), branch.offset(guidance))


def _bernoulli_count(seed: int, guidance: Guidance, slot: str, number: int, grid: int, gamma: float) -> int:
    """How many tokens an independent coin per token keeps, at least one; common to the images of a suite.

    A subset of uniform members and this size has the law of independent coins, and equal sizes can share a batch.
    """
    from sgbench.cells.randomness import Stream, generator, named_stream

    own = {"strong": Stream.STRONG_COUNT, "weak": Stream.WEAK_COUNT}
    alone = own[slot] if slot in own else named_stream(f"count {slot}")
    stream = Stream.SHARED_COUNT if guidance.sharing == "shared" else alone
    coins = generator(seed, stream, 0, number).random(grid)
    return max(1, int((coins < 1 - gamma).sum()))


def _perturbation(cell: Cell, guidance: Guidance, number: int, branch: Branch) -> Perturbation | None:
    """The perturbation of a call; blocks that are drawn at random are common to all images."""
    kind = branch.perturbation
    if kind is None:
        return None
    chosen = guidance.parameter("layers", Layers())
    if kind.draws_blocks:
        from sgbench.cells.randomness import Stream, generator

        count = skipped_blocks(catalogue.entry(cell.model).architecture.blocks, guidance.parameter("drop", 0.0))
        order = generator(cell.seed, Stream.BLOCKS, 0, number).permutation(len(chosen))
        chosen = Layers(sorted(chosen[index] for index in order[:count].tolist()))
    return kind.of(chosen, guidance.numbers)


def skipped_blocks(blocks: int, drop: float) -> int:
    """How many of a network's blocks S2-Guidance skips."""
    return max(1, round(drop * blocks))
