"""The calls of a cell, evaluation by evaluation: the one list that costs are counted from and the engine executes."""

from collections import Counter
from functools import lru_cache
from typing import Literal, NamedTuple

from sgbench.cells.cell import Cell
from sgbench.guidance import RULES, Branch
from sgbench.guidance.perturbation import Layers, Perturbation
from sgbench.guidance.rules.cfg_zero import ZERO_STEPS
from sgbench.guidance.schedules import ALWAYS, CONSTANT, GammaSchedule, Interval
from sgbench.guidance.settings import Guidance
from sgbench.guidance.subset_rules import kept_tokens
from sgbench.models import catalogue
from sgbench.samplers.catalogue import moments
from sgbench.samplers.settings import Moment

Slot = Literal["strong", "weak", "perturbed"]
ANY_SCALE = 2.0


class Call(NamedTuple):
    """One denoiser call as far as its cost and its result depend on it."""

    slot: Slot
    branch: Branch
    gamma: float
    kept: int
    perturbation: Perturbation | None = None


class Evaluation(NamedTuple):
    """One evaluation of the guided prediction: when, how strongly, and the calls it takes; none where it is zero."""

    moment: Moment
    scale: float
    strength: float
    """The push away from the perturbed branch."""
    calls: tuple[Call, ...]


@lru_cache(maxsize=4096)
def program(cell: Cell) -> tuple[Evaluation, ...]:
    """Every evaluation of one image's run, in order."""
    return tuple(_evaluation(cell, number, moment) for number, moment in enumerate(moments(cell.sampler)))


def call_counts(cell: Cell) -> tuple[tuple[Call, int], ...]:
    """The different calls of one image and how often each is made, in the order they first occur."""
    guidance = cell.guidance
    if guidance.scale_schedule == CONSTANT and guidance.scale != 1:
        # The scale of guidance that always acts changes no call: a sweep over scales is counted once.
        guidance = guidance._replace(scale=ANY_SCALE)
    return _call_counts(cell._replace(guidance=guidance))


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
    kind = rule.perturbed.perturbation if rule.perturbed is not None else None
    drawn = guidance.subset == "bernoulli" or (kind is not None and kind.draws_blocks)
    limited = guidance.interval != ALWAYS or guidance.parameter("perturb_interval", ALWAYS) != ALWAYS
    scheduled = guidance.scale_schedule != CONSTANT or guidance.parameter(ZERO_STEPS, 0.0) > 0
    return not (moves or drawn or limited or scheduled)


def _evaluation(cell: Cell, number: int, moment: Moment) -> Evaluation:
    guidance = cell.guidance
    rule = RULES[guidance.rule]
    if moment.step < guidance.parameter(ZERO_STEPS, 0.0):
        return Evaluation(moment, 1.0, 0.0, ())
    scale, strength = factors(guidance, moment)
    calls = [_call(cell, number, moment, "strong", rule.strong)]
    if rule.weak is not None and (scale != 1 or (rule.replaces_update and _acts(guidance.interval, moment))):
        calls.append(_call(cell, number, moment, "weak", rule.weak))
    if rule.perturbed is not None and strength:
        calls.append(_call(cell, number, moment, "perturbed", rule.perturbed))
    return Evaluation(moment, scale, strength, tuple(calls))


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


def _call(cell: Cell, number: int, moment: Moment, slot: Slot, branch: Branch) -> Call:
    gamma = branch.gamma(cell.guidance, moment.progress)
    grid = catalogue.entry(cell.model).architecture.grid_tokens
    kept = kept_tokens(grid, gamma)
    if cell.guidance.subset == "bernoulli" and 0 < gamma < 1:
        kept = _bernoulli_count(cell, slot, number, grid, gamma)
    return Call(slot, branch, gamma, kept, _perturbation(cell, number, branch))


def _bernoulli_count(cell: Cell, slot: Slot, number: int, grid: int, gamma: float) -> int:
    """How many tokens an independent coin per token keeps, at least one; common to the images of a suite.

    A subset of uniform members and this size has the law of independent coins, and equal sizes can share a batch.
    """
    from sgbench.cells.randomness import Stream, generator

    own = {"strong": Stream.STRONG_COUNT, "weak": Stream.WEAK_COUNT}
    stream = Stream.SHARED_COUNT if cell.guidance.sharing == "shared" else own[slot]
    coins = generator(cell.seed, stream, 0, number).random(grid)
    return max(1, int((coins < 1 - gamma).sum()))


def _perturbation(cell: Cell, number: int, branch: Branch) -> Perturbation | None:
    """The perturbation of a call; blocks that are drawn at random are common to all images."""
    kind, guidance = branch.perturbation, cell.guidance
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
