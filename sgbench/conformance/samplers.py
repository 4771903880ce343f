"""The laws of samplers, on predictions whose right answer is known."""

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Final

import torch
from torch import Tensor

from sgbench.cells.randomness import noise as unit_noise
from sgbench.cells.randomness import step_noise
from sgbench.conformance.law import (
    BrokenError,
    Law,
    NotApplicableError,
    require_no_global_randomness,
    seed_global_randomness,
)
from sgbench.conformance.tensors import require_close, require_equal, require_like
from sgbench.samplers.catalogue import SAMPLERS
from sgbench.samplers.clocks import TRAINED_STEPS, signal_levels
from sgbench.samplers.settings import Clock, Moment, Prediction, Sampler, SamplerKind

SHAPE: Final = (2, 4, 4)
# Data of one dimension, every value on its own: N(MEAN, DEVIATION^2).
MEAN, DEVIATION = 0.7, 0.5
FEW, MANY = 7, 100
# States are float64 here: what remains is the sampler's own error, and no rounding.
EXACT = 1e-9
# Published samplers end a little beside: the last step of Euler-Maruyama, of 0.04, takes no noise away.
BESIDE = 0.15
"""In deviations: of the noise for one image, of the data for a Gaussian."""


def gaussian(clock: Clock, deviation: float, mean: float = MEAN) -> Prediction:
    """The best prediction for data N(mean, deviation^2), in the terms of a clock; deviation 0 is a single point."""

    def mixture(signal: float, noise: float, x: Tensor) -> tuple[Tensor, Tensor]:
        """E[image | x] and E[noise | x] at x = signal image + noise unit."""
        image = mean + signal * deviation**2 / (signal**2 * deviation**2 + noise**2) * (x - signal * mean)
        return image, (x - signal * image) / noise

    def predict(x: Tensor, level: float, number: int) -> Tensor:
        match clock:
            case "flow":
                image, noise = mixture(1 - level, level, x)
                return noise - image
            case "edm":
                return mixture(1.0, level, x)[0]
            case "discrete":
                signal = float(signal_levels([int(level)])[0])
                return mixture(math.sqrt(signal), math.sqrt(1 - signal), x)[1]

    return predict


class _Run:
    """A run of a sampler and what it asked for."""

    def __init__(self, kind: SamplerKind, steps: int, predict: Prediction, indices: range = range(8)) -> None:
        self.kind, self.settings = kind, settings_of(kind, steps)
        self.asked: list[tuple[float, int]] = []
        self.drawn: list[int] = []
        self.noise = torch.from_numpy(unit_noise(0, indices, SHAPE)).double()
        self.kept = self.noise.clone()
        self.predict, self.indices = predict, indices
        seed_global_randomness()
        self.state = kind.solve(self.settings, self._prediction, self.noise, self._fresh)

    def _prediction(self, x: Tensor, level: float, number: int) -> Tensor:
        self.asked.append((level, number))
        found = self.predict(x, level, number)
        # The second half says which variance a step has: here the smallest.
        return torch.cat([found, -torch.ones_like(found)], dim=1) if self.kind.needs_variance else found

    def _fresh(self, step: int) -> Tensor:
        self.drawn.append(step)
        return torch.from_numpy(step_noise(0, self.indices, SHAPE, step)).double()


def settings_of(kind: SamplerKind, steps: int) -> Sampler:
    """Settings of a run, with what the sampler takes away from its neutral value."""
    moved = {"shift": 2.0, "churn": 10.0, "churn_max": 50.0, "churn_noise": 1.01}
    taken = {name: value for name, value in moved.items() if name in kind.takes}
    return Sampler(kind.name, min(steps, kind.most_steps or steps), **taken)


def _ends(kind: SamplerKind) -> None:
    run = _Run(kind, FEW, gaussian(kind.clock, DEVIATION))
    require_like(run.state, run.noise, "the final state", SAMPLERS.place(kind.name, kind.solve))


def evaluates_as_declared(kind: SamplerKind, steps: int) -> None:
    """Raise BrokenError unless a run asks for the prediction at its moments, at their levels and in their order."""
    run = _Run(kind, steps, gaussian(kind.clock, DEVIATION))
    declared = kind.moments(run.settings)
    if len(run.asked) != len(declared):
        raise BrokenError(
            f"it evaluates the prediction {len(run.asked)} times in {steps} steps and declares {len(declared)}"
        )
    for place, ((level, number), moment) in enumerate(zip(run.asked, declared, strict=True)):
        if number != place:
            raise BrokenError(f"evaluation {place} of {len(declared)} is numbered {number}")
        if level != moment.level:
            raise BrokenError(f"evaluation {place} is at the level {level:g} and declared at {moment.level:g}")


def runs_from_noise_to_image(kind: SamplerKind, steps: int) -> None:
    """Raise BrokenError unless the moments of a run are on its clock, begin in the noise, and progress."""
    found = kind.moments(settings_of(kind, steps))
    for moment in found:
        _check_moment(kind, moment, steps)
    for before, after in itertools.pairwise(found):
        if after.progress < before.progress or after.step < before.step:
            raise BrokenError(f"progress falls from {before.progress:g} to {after.progress:g}")
    noisiest = max(moment.noise for moment in found)
    if found[0].noise < noisiest:
        raise BrokenError(f"it begins at the noise {found[0].noise:g} and comes to {noisiest:g} later")


def _for_some_steps(check: Callable[[SamplerKind, int], None], kind: SamplerKind) -> None:
    for steps in (1, 2, FEW):
        check(kind, steps)


def _check_moment(kind: SamplerKind, moment: Moment, steps: int) -> None:
    known = {
        "flow": 0 < moment.level <= 1,
        "edm": moment.level > 0,
        "discrete": moment.level in range(TRAINED_STEPS),
    }
    if not known[kind.clock]:
        raise BrokenError(f"the level {moment.level:g} is not on the clock {kind.clock}")
    if not (0 <= moment.progress <= 1 and moment.noise > 0 and 0 <= moment.step < steps):
        text = f"progress {moment.progress:g}, noise {moment.noise:g}, step {moment.step} of {steps}"
        raise BrokenError(f"there is no such moment: {text}")


def _point(kind: SamplerKind) -> None:
    run = _Run(kind, MANY, gaussian(kind.clock, 0.0))
    beside = float((run.state - MEAN).square().mean().sqrt())
    if not beside <= BESIDE:
        raise BrokenError(f"it ends {beside:.2g} deviations of the noise beside the only image there is")


def _spread(kind: SamplerKind) -> None:
    run = _Run(kind, MANY, gaussian(kind.clock, DEVIATION), range(64))
    mean, deviation = float(run.state.mean()), float(run.state.std())
    if not (abs(mean - MEAN) <= BESIDE * DEVIATION and abs(deviation / DEVIATION - 1) <= BESIDE):
        raise BrokenError(
            f"in {run.settings.steps} steps data of mean {MEAN} and deviation {DEVIATION} come out with "
            f"{mean:.3f} and {deviation:.3f}"
        )


def _again(kind: SamplerKind) -> None:
    first, second = (_Run(kind, FEW, gaussian(kind.clock, DEVIATION)).state for _ in range(2))
    require_equal(second, first, "a second run differs from the first")


def _batch(kind: SamplerKind) -> None:
    predict = gaussian(kind.clock, DEVIATION)
    whole = _Run(kind, FEW, predict).state
    for index in (0, 3, 7):
        alone = _Run(kind, FEW, predict, range(index, index + 1)).state
        require_close(alone, whole[index : index + 1], f"image {index} alone differs from the same among 8", EXACT)


def _inputs(kind: SamplerKind) -> None:
    run = _Run(kind, FEW, gaussian(kind.clock, DEVIATION))
    require_equal(run.noise, run.kept, "the noise that a run begins with is changed in place")


def _random(kind: SamplerKind) -> None:
    require_no_global_randomness(lambda: _Run(kind, FEW, gaussian(kind.clock, DEVIATION)))


def _fresh_once(kind: SamplerKind) -> None:
    run = _Run(kind, FEW, gaussian(kind.clock, DEVIATION))
    if not run.drawn:
        raise NotApplicableError("it adds no noise")
    twice = [step for step in run.drawn if run.drawn.count(step) > 1]
    if twice:
        raise BrokenError(f"it asks {run.drawn.count(twice[0])} times for the noise of step {twice[0]}, which is one")
    outside = [step for step in run.drawn if not 0 <= step < run.settings.steps]
    if outside:
        raise BrokenError(f"it asks for the noise of step {outside[0]} of {run.settings.steps}")


def _plus_plus(kind: SamplerKind) -> None:
    if kind.solve_plus_plus is None:
        raise NotApplicableError("it has no update of CFG++")
    plain = _Run(kind, FEW, gaussian(kind.clock, DEVIATION))

    def pair(x: Tensor, level: float, number: int) -> tuple[Tensor, Tensor]:
        found = plain.predict(x, level, number)
        return found, found

    found = kind.solve_plus_plus(plain.settings, pair, plain.noise)
    require_close(found, plain.state, "without guidance the update of CFG++ differs from the plain one", EXACT)


LAWS: Final[tuple[Law[SamplerKind], ...]] = (
    Law("a run ends in a finite state of the shape and type of the noise", _ends),
    Law(
        "it evaluates at its declared moments, in their order",
        partial(_for_some_steps, evaluates_as_declared),
    ),
    Law("its moments run from noise to image on its clock", partial(_for_some_steps, runs_from_noise_to_image)),
    Law("with the perfect denoiser of one image it ends at that image", _point),
    Law("with the perfect denoiser of a Gaussian it ends with its mean and deviation", _spread),
    Law("a second run is the first, bit for bit", _again),
    Law("an image does not depend on its batch", _batch),
    Law("it leaves its noise as it is", _inputs),
    Law("it uses no global random state", _random),
    Law("it asks once for the noise of a step", _fresh_once),
    Law("without guidance the update of CFG++ is the plain one", _plus_plus),
)
