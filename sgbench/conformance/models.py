"""The laws of models: what a network does with its tokens, its condition and its clock, and what that costs."""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, assert_never

import torch
from torch import Tensor

from sgbench.conformance.law import (
    BrokenError,
    Law,
    NotApplicableError,
    require_no_global_randomness,
    seed_global_randomness,
)
from sgbench.conformance.tensors import distance, require_equal, require_like
from sgbench.cost.macs import MiscountError, count_kept
from sgbench.guidance.perturbation import Layers
from sgbench.guidance.rules.perturbed_attention import IdentityAttention
from sgbench.guidance.rules.skip_layers import SkippedBlocks
from sgbench.guidance.subset_rules import kept_tokens
from sgbench.models.catalogue import ModelInfo
from sgbench.models.family import Prediction
from sgbench.networks.denoiser import Denoiser
from sgbench.networks.prediction import predict
from sgbench.samplers.catalogue import SAMPLERS
from sgbench.samplers.settings import Sampler
from sgbench.zoo.shapes.captions import token_ids

ROWS: Final = 8
# Two ways through a deep network in float32, and in float64 where float32 may have tipped a choice between experts.
OF_A_NETWORK, OF_FLOAT64 = 1e-3, 1e-8
GAMMAS: Final = (0.0, 0.25, 0.5, 0.75)
# In the middle of each clock, as networks are told it.
MIDDLE: Final[dict[Prediction, float]] = {
    "velocity": 0.6,
    "velocity-from-noise": 0.4,
    "edm": -0.25,
    "epsilon": 600.0,
}
LATER: Final[dict[Prediction, float]] = {"velocity": 0.2, "velocity-from-noise": 0.8, "edm": -0.75, "epsilon": 200.0}
WORDS: Final = ("a red circle", "a blue square")
# Seconds below which a call is too short to be timed, repetitions, and the share of the saving that must show.
SHORTEST, TIMES, SHOWN = 0.02, 5, 1 / 3
# How far the share of the noise or the image in a prediction may lie from that of a perfect denoiser. Another clock or
# sign moves it by 1 or 2, trained networks by up to a half: images and noise are not quite orthogonal.
APART = 0.75
STEPS: Final = 6


def _drawn(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class ModelCase:
    """A model and its network, on a CPU, in evaluation mode."""

    info: ModelInfo
    network: Denoiser
    _counted: dict[int, int] = field(default_factory=dict)

    @property
    def grid(self) -> int:
        return self.network.architecture.grid_tokens

    @property
    def kind(self) -> Prediction:
        return self.info.family.prediction

    @cached_property
    def kept(self) -> int:
        """Half of the tokens. Raises NotApplicableError where there is nothing to drop."""
        if not self.network.architecture.can_drop_tokens:
            raise NotApplicableError("it cannot drop tokens")
        if self.grid < 2:
            raise NotApplicableError("it has one token")
        return self.grid // 2

    def x(self, rows: range) -> Tensor:
        """States (B, C, H, W), each a function of its number."""
        return torch.stack([_drawn(self.network.architecture.sample_shape, row) for row in rows])

    def condition(self, rows: range) -> Tensor:
        """Conditions (B, ...), two kinds in turn."""
        a = self.network.architecture
        match a.conditions:
            case "classes":
                return torch.tensor([row % min(2, self.info.classes) for row in rows])
            case "words":
                return torch.tensor([token_ids(WORDS[row % 2]) for row in rows])
            case "captions":
                drawn = [
                    torch.randn(a.condition_shape, generator=torch.Generator().manual_seed(row % 2)) for row in rows
                ]
                return torch.stack(drawn)
            case _:
                assert_never(a.conditions)

    def null(self) -> Tensor:
        """The null condition (1, ...). Raises NotApplicableError where another part of the model makes it."""
        a = self.network.architecture
        match a.conditions:
            case "classes":
                return torch.tensor([a.null_label])
            case "words":
                return torch.tensor([token_ids("")])
            case "captions":
                raise NotApplicableError("its null condition comes from its text encoder")
            case _:
                assert_never(a.conditions)

    def macs(self, kept: int) -> int:
        """What fvcore counts of a call, once. Raises BrokenError where it cannot, or where the card says otherwise."""
        if kept not in self._counted:
            try:
                self._counted[kept] = count_kept(self.network, kept).macs
            except MiscountError as error:
                raise BrokenError(error.what) from error
        return self._counted[kept]

    def tokens(self, rows: range, kept: int, seed: int = 0) -> Tensor:
        """Kept tokens (B, kept), each row a function of its number."""
        generators = (torch.Generator().manual_seed(1000 * seed + row) for row in rows)
        return torch.stack([torch.randperm(self.grid, generator=generator)[:kept] for generator in generators])


@dataclass(frozen=True)
class _Call:
    """The arguments of a call of the network."""

    x: Tensor
    t: Tensor
    condition: Tensor
    tokens: Tensor | None = None

    def on(self, network: Denoiser, dtype: torch.dtype = torch.float32) -> Tensor:
        """The output of a network of some type."""
        condition = self.condition.to(dtype) if self.condition.is_floating_point() else self.condition
        seed_global_randomness()
        with torch.inference_mode():
            found: Tensor = network(self.x.to(dtype), self.t.to(dtype), condition, self.tokens)
        return found


def _call(case: ModelCase, rows: range, tokens: Tensor | None = None) -> _Call:
    return _Call(case.x(rows), torch.full((len(rows),), MIDDLE[case.kind]), case.condition(rows), tokens)


Pair = Callable[[Denoiser, torch.dtype], tuple[Tensor, Tensor]]


def _require_same(case: ModelCase, both: Pair, what: str) -> None:
    """Raise BrokenError where two ways to one output differ: in float32, and in float64, too, where that can be run."""
    apart = distance(*both(case.network, torch.float32))
    if apart <= OF_A_NETWORK:
        return
    try:
        exact = distance(*both(copy.deepcopy(case.network).double(), torch.float64))
    except (RuntimeError, TypeError):
        exact = apart
    if exact > OF_FLOAT64:
        raise BrokenError(f"{what} by {apart:.2g} of the largest value")


def _require_apart(found: Tensor, other: Tensor, what: str) -> None:
    """Raise BrokenError where two outputs that must differ do not."""
    apart = distance(found, other)
    if apart <= 1e-6:
        raise BrokenError(f"{what} (the largest difference is {apart:.1g} of the largest value)")


SOME: Final = range(2)


def _like(case: ModelCase) -> None:
    a = case.network.architecture
    wanted = torch.zeros(2, a.out_channels, *a.sample_shape[1:])
    require_like(_call(case, SOME).on(case.network), wanted, "the output")
    if a.can_drop_tokens and case.grid > 1:
        sparse = _call(case, SOME, case.tokens(SOME, case.kept)).on(case.network)
        require_like(sparse, wanted, f"the output of a call that keeps {case.kept} of {case.grid} tokens")


def _all_kept(case: ModelCase) -> None:
    assert case.kept
    dense, every = _call(case, SOME), _call(case, SOME, case.tokens(SOME, case.grid))
    _require_same(
        case,
        lambda network, dtype: (every.on(network, dtype), dense.on(network, dtype)),
        f"a call that keeps all {case.grid} tokens differs from one that drops none",
    )


def _order(case: ModelCase) -> None:
    tokens = case.tokens(SOME, case.kept)
    one, other = _call(case, SOME, tokens), _call(case, SOME, tokens.sort(dim=1).values)
    _require_same(
        case,
        lambda network, dtype: (one.on(network, dtype), other.on(network, dtype)),
        f"the same {case.kept} tokens in another order change the output",
    )


def _tokens_matter(case: ModelCase) -> None:
    dense = _call(case, SOME).on(case.network)
    first, second = (_call(case, SOME, case.tokens(SOME, case.kept, seed)).on(case.network) for seed in (0, 1))
    _require_apart(first, dense, f"a call that keeps {case.kept} of {case.grid} tokens gives what one with all gives")
    _require_apart(first, second, f"which {case.kept} of {case.grid} tokens are kept does not matter")


def _batch(case: ModelCase) -> None:
    rows = range(ROWS)
    kept = case.kept if case.network.architecture.can_drop_tokens and case.grid > 1 else case.grid
    for tokens in [None, case.tokens(rows, kept)] if kept < case.grid else [None]:
        whole = _call(case, rows, tokens)
        row = range(3, 4)
        alone = _call(case, row, None if tokens is None else tokens[3:4])
        _require_same(
            case,
            lambda network, dtype, one=alone, all_=whole: (one.on(network, dtype), all_.on(network, dtype)[3:4]),  # type: ignore[misc]
            f"alone, image 3 of {ROWS} differs{'' if tokens is None else ' where tokens are dropped'}",
        )


def _one_row(case: ModelCase) -> None:
    many = _call(case, SOME)
    condition = many.condition[:1]
    whole = _Call(many.x, many.t, condition.expand(2, *condition.shape[1:]))
    single = _Call(many.x, many.t[:1], condition if condition.ndim == 1 else whole.condition)
    what = "one row of time and class for all images gives another output than a row for each"
    _require_same(case, lambda network, dtype: (single.on(network, dtype), whole.on(network, dtype)), what)


def _null(case: ModelCase) -> None:
    if not case.info.family.null_class:
        raise NotApplicableError("it was trained without a null condition")
    given, null = _call(case, SOME), case.null()
    without = _Call(given.x, given.t, null.expand(2, *null.shape[1:]))
    _require_apart(
        given.on(case.network), without.on(case.network), "the null condition gives what the given one gives"
    )


def _seen(case: ModelCase) -> None:
    call = _call(case, SOME)
    plain = call.on(case.network)
    others = {
        "time": _Call(call.x, torch.full((2,), LATER[case.kind]), call.condition),
        "state": _Call(-call.x, call.t, call.condition),
        "condition": _Call(call.x, call.t, call.condition.flip(0)),
    }
    if torch.equal(call.condition[0], call.condition[1]):
        del others["condition"]
    for name, other in others.items():
        _require_apart(other.on(case.network), plain, f"another {name} changes nothing")


def _again(case: ModelCase) -> None:
    call = _call(case, SOME)
    first = call.on(case.network)
    _call(case, range(2, 5)).on(case.network)
    require_equal(call.on(case.network), first, "the same call after another differs")


def _inputs(case: ModelCase) -> None:
    a = case.network.architecture
    tokens = case.tokens(SOME, case.grid // 2) if a.can_drop_tokens and case.grid > 1 else None
    call = _call(case, SOME, tokens)
    given = {"x": call.x, "t": call.t, "condition": call.condition, "tokens": tokens}
    before = {name: value.clone() for name, value in given.items() if value is not None}
    call.on(case.network)
    for name, value in before.items():
        now = given[name]
        assert now is not None
        require_equal(now, value, f"{name} is changed in place")


def _random(case: ModelCase) -> None:
    call = _call(case, SOME)
    require_no_global_randomness(lambda: call.on(case.network))


def _counts(case: ModelCase) -> None:
    case.macs(case.grid)
    if case.network.architecture.can_drop_tokens:
        case.macs(kept_tokens(case.grid, GAMMAS[-1]))


def _macs_fall(case: ModelCase) -> None:
    assert case.kept
    before: tuple[int, int] | None = None
    for gamma in GAMMAS:
        kept = kept_tokens(case.grid, gamma)
        macs = case.macs(kept)
        if before is not None and kept < before[0] and macs >= before[1]:
            raise BrokenError(
                f"with {kept} of {case.grid} tokens a call costs {macs:,} multiply-accumulates, with {before[0]} "
                f"{before[1]:,}"
            )
        before = kept, macs


def _time_falls(case: ModelCase) -> None:
    few = kept_tokens(2 * case.kept, GAMMAS[-1])
    share = case.macs(few) / case.macs(case.grid)
    if share > 1 - SHOWN:
        raise NotApplicableError(f"a call with {few} of {case.grid} tokens costs {share:.0%} of one with all")
    rows = range(ROWS)
    dense, sparse = _seconds(case.network, _call(case, rows), _call(case, rows, case.tokens(rows, few)))
    if dense < SHORTEST:
        raise NotApplicableError(f"a call of {ROWS} images takes {1000 * dense:.1f} ms, which is too short to time")
    if sparse / dense > 1 - SHOWN * (1 - share):
        raise BrokenError(
            f"with {few} of {case.grid} tokens a call takes {sparse / dense:.0%} of the time, and costs {share:.0%} of "
            "the multiply-accumulates"
        )


def _seconds(network: Denoiser, *calls: _Call) -> list[float]:
    """The shortest time of each call, in seconds of one thread of the CPU, which other programs hardly change.

    Calls take turns, so that what does change it changes all.
    """
    threads, found = torch.get_num_threads(), [math.inf] * len(calls)
    torch.set_num_threads(1)
    try:
        for _ in range(TIMES):
            for number, call in enumerate(calls):
                began = time.thread_time()
                call.on(network)
                found[number] = min(found[number], time.thread_time() - began)
    finally:
        torch.set_num_threads(threads)
    return found


def _blocks(case: ModelCase) -> None:
    a = case.network.architecture
    if not a.blocks:
        raise NotApplicableError("it has no blocks to perturb")
    call, layers = _call(case, SOME), Layers((a.blocks // 2,))
    plain = call.on(case.network)
    for kind in (SkippedBlocks, IdentityAttention) if a.attention_perturbs else (SkippedBlocks,):
        change = kind.of(layers, {})
        with torch.inference_mode():
            found = case.network(call.x, call.t, call.condition, None, change)
        require_like(found, plain, f"the output with {change.meaning} in block {layers}")
        _require_apart(found, plain, f"{change.meaning} in block {layers} of {a.blocks} changes nothing")


# What a perfect denoiser predicts where it is known, by trained weights


def _predicted(case: ModelCase, x: Tensor, level: float) -> Tensor:
    family = case.info.family
    with torch.inference_mode():
        return predict(case.network, case.kind, family.sigma_data, x, level, case.condition(range(len(x))), None)


def _require_weights(case: ModelCase) -> None:
    if case.info.random:
        raise NotApplicableError("its weights are random")


def _share(prediction: Tensor, of: Tensor) -> float:
    """How often `of` is in a prediction: the regression of one on the other."""
    return float((prediction.double() * of).sum() / of.double().square().sum())


def _require_share(found: float, wanted: float, at: str, of: str) -> None:
    if not abs(found - wanted) <= APART:
        raise BrokenError(f"{at} the prediction holds {found:.2f} times the {of}, and a perfect denoiser's {wanted:g}")


def _first(case: ModelCase) -> None:
    _require_weights(case)
    noise = case.x(range(4))
    match case.kind:
        case "velocity" | "velocity-from-noise":
            _require_share(_share(_predicted(case, noise, 1.0), noise), 1, "in pure noise, at t = 1,", "noise")
        case "epsilon":
            _require_share(_share(_predicted(case, noise, 999), noise), 1, "in pure noise, at timestep 999,", "noise")
        case "edm":
            _require_share(_share(_predicted(case, 80 * noise, 80.0), noise), 0, "at sigma = 80", "unit noise")
        case _:
            assert_never(case.kind)


def _last(case: ModelCase) -> None:
    _require_weights(case)
    image = _images(case)
    match case.kind:
        case "velocity" | "velocity-from-noise":
            _require_share(_share(_predicted(case, image, 0.01), image), -1, "at an image, t = 0.01,", "image")
        case "epsilon":
            _require_share(_share(_predicted(case, image, 0), image), 0, "at an image, timestep 0,", "image")
        case "edm":
            _require_share(_share(_predicted(case, image, 0.01), image), 1, "at an image, sigma = 0.01,", "image")
        case _:
            assert_never(case.kind)


def _images(case: ModelCase) -> Tensor:
    """What the model itself draws, unguided, in a few steps."""
    names = [name for name in case.info.family.samplers if not SAMPLERS[name].needs_variance]
    kind, noise = SAMPLERS[names[0]], case.x(range(4))

    def prediction(x: Tensor, level: float, number: int) -> Tensor:
        return _predicted(case, x, level)

    def fresh(step: int) -> Tensor:
        return case.x(range(100 + 4 * step, 104 + 4 * step))

    return kind.solve(Sampler(kind.name, STEPS), prediction, noise, fresh).float()


TIME: Final = Law("time falls where tokens are dropped", _time_falls)
"""Of the machine as of the model: tests leave it out."""
LAWS: Final[tuple[Law[ModelCase], ...]] = (
    Law("a call gives a finite output of the declared shape", _like),
    Law("all tokens kept is none dropped", _all_kept),
    Law("the order of the kept tokens does not matter", _order),
    Law("which tokens are kept matters", _tokens_matter),
    Law("a batch of one is a batch of eight", _batch),
    Law("one row of time and class serves all images", _one_row),
    Law("the null condition differs from the given", _null),
    Law("time, state and condition are seen", _seen),
    Law("the same call gives the same, bit for bit", _again),
    Law("it leaves its inputs as they are", _inputs),
    Law("it uses no global random state", _random),
    Law("fvcore counts every operator, and what is stated", _counts),
    Law("multiply-accumulates fall where tokens are dropped", _macs_fall),
    TIME,
    Law("a perturbed block changes the output", _blocks),
    Law("on the first step it predicts what its clock says", _first),
    Law("on the last step it predicts what its clock says", _last),
)
