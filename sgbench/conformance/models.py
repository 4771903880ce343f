"""The laws of models: what a network does with its tokens and its condition. Their cost and clock are beside."""

import copy
from typing import Final

import torch
from torch import Tensor

from sgbench.cells.randomness import generator
from sgbench.conformance import model_clock, model_cost
from sgbench.conformance.devices import NAME, other_device
from sgbench.conformance.law import Law, NotApplicableError, require_no_global_randomness
from sgbench.conformance.model_case import Call, ModelCase, call_of, require_apart, require_same
from sgbench.conformance.tensors import require_equal, require_like
from sgbench.guidance.perturbation import Draws, Layers, Perturbation
from sgbench.guidance.rules.dropout import Dropout
from sgbench.guidance.rules.perturbed_attention import IdentityAttention
from sgbench.guidance.rules.skip_layers import SkippedBlocks
from sgbench.models.family import Prediction

ROWS: Final = 8
LATER: Final[dict[Prediction, float]] = {"velocity": 0.2, "velocity-from-noise": 0.8, "edm": -0.75, "epsilon": 200.0}
SOME: Final = range(2)


def _like(case: ModelCase) -> None:
    a = case.network.architecture
    wanted = torch.zeros(2, a.out_channels, *a.sample_shape[1:])
    require_like(call_of(case, SOME).on(case.network), wanted, "the output")
    if case.drops:
        sparse = call_of(case, SOME, case.tokens(SOME, case.kept)).on(case.network)
        require_like(sparse, wanted, f"the output of a call that keeps {case.kept} of {case.grid} tokens")


def _all_kept(case: ModelCase) -> None:
    if not case.drops:
        raise NotApplicableError("it cannot drop tokens")
    dense, every = call_of(case, SOME), call_of(case, SOME, case.tokens(SOME, case.grid))
    require_same(
        case,
        lambda network, dtype: (every.on(network, dtype), dense.on(network, dtype)),
        f"a call that keeps all {case.grid} tokens differs from one that drops none",
    )


def _order(case: ModelCase) -> None:
    tokens = case.tokens(SOME, case.kept)
    one, other = call_of(case, SOME, tokens), call_of(case, SOME, tokens.sort(dim=1).values)
    require_same(
        case,
        lambda network, dtype: (one.on(network, dtype), other.on(network, dtype)),
        f"the same {case.kept} tokens in another order change the output",
    )


def _tokens_matter(case: ModelCase) -> None:
    dense = call_of(case, SOME).on(case.network)
    first, second = (call_of(case, SOME, case.tokens(SOME, case.kept, seed)).on(case.network) for seed in (0, 1))
    require_apart(first, dense, f"a call that keeps {case.kept} of {case.grid} tokens gives what one with all gives")
    require_apart(first, second, f"which {case.kept} of {case.grid} tokens are kept does not matter")


def _batch(case: ModelCase) -> None:
    rows = range(ROWS)
    for tokens in [None, case.tokens(rows, case.kept)] if case.drops else [None]:
        whole = call_of(case, rows, tokens)
        alone = call_of(case, range(3, 4), None if tokens is None else tokens[3:4])
        require_same(
            case,
            lambda network, dtype, one=alone, all_=whole: (one.on(network, dtype), all_.on(network, dtype)[3:4]),  # type: ignore[misc]
            f"alone, image 3 of {ROWS} differs{'' if tokens is None else ' where tokens are dropped'}",
        )


def _one_row(case: ModelCase) -> None:
    many = call_of(case, SOME)
    condition = many.condition[:1]
    whole = Call(many.x, many.t, condition.expand(2, *condition.shape[1:]))
    single = Call(many.x, many.t[:1], condition if condition.ndim == 1 else whole.condition)
    what = "one row of time and class for all images gives another output than a row for each"
    require_same(case, lambda network, dtype: (single.on(network, dtype), whole.on(network, dtype)), what)


def _null(case: ModelCase) -> None:
    if not case.info.family.null_class:
        raise NotApplicableError("it was trained without a null condition")
    given, null = call_of(case, SOME), case.null()
    without = Call(given.x, given.t, null.expand(2, *null.shape[1:]))
    for with_it, without_it in zip(given.on(case.network), without.on(case.network), strict=True):
        require_apart(without_it, with_it, "the null condition gives what the given one gives")


def _seen(case: ModelCase) -> None:
    call = call_of(case, SOME)
    plain = call.on(case.network)
    others = {
        "time": Call(call.x, torch.full((2,), LATER[case.kind]), call.condition),
        "state": Call(-call.x, call.t, call.condition),
        "condition": Call(call.x, call.t, call.condition.flip(0)),
    }
    if torch.equal(call.condition[0], call.condition[1]):
        del others["condition"]
    for name, other in others.items():
        require_apart(other.on(case.network), plain, f"another {name} changes nothing")


def _again(case: ModelCase) -> None:
    call = call_of(case, SOME)
    first = call.on(case.network)
    call_of(case, range(2, 5)).on(case.network)
    require_equal(call.on(case.network), first, "the same call after another differs")


def _inputs(case: ModelCase) -> None:
    tokens = case.tokens(SOME, case.kept) if case.drops else None
    call = call_of(case, SOME, tokens)
    given = {"x": call.x, "t": call.t, "condition": call.condition, "tokens": tokens}
    before = {name: value.clone() for name, value in given.items() if value is not None}
    call.on(case.network)
    for name, value in before.items():
        now = given[name]
        assert now is not None
        require_equal(now, value, f"{name} is changed in place")


def _random(case: ModelCase) -> None:
    call = call_of(case, SOME)
    require_no_global_randomness(lambda: call.on(case.network))


def _blocks(case: ModelCase) -> None:
    a = case.network.architecture
    if not a.blocks:
        raise NotApplicableError("it has no blocks to perturb")
    call, layers = call_of(case, SOME), Layers((a.blocks // 2,))
    plain = call.on(case.network)

    def changed(change: Perturbation) -> Tensor:
        with torch.inference_mode():
            found: Tensor = case.network(call.x, call.t, call.condition, None, change)
        require_like(found, plain, f"the output with {change.meaning} in block {layers}")
        require_apart(found, plain, f"{change.meaning} in block {layers} of {a.blocks} changes nothing")
        return found

    skipped = changed(SkippedBlocks(layers))
    if not a.attention_perturbs:
        return
    identity = changed(IdentityAttention(layers))
    require_apart(identity, skipped, f"block {layers} of {a.blocks} does not run where its attention is the identity")
    # The card of a user's model may not say how wide it is: then no such rule is tried on it.
    if a.attention_width(layers[0]):
        images = Draws((generator(0, 0, row) for row in SOME), a.grid_tokens, a.attention_width, torch.from_numpy)
        changed(Dropout(layers, share=0.5).drawn(images))


def _device(case: ModelCase) -> None:
    with other_device() as device:
        for tokens in [None, case.tokens(SOME, case.kept)] if case.drops else [None]:
            here = call_of(case, SOME, tokens)
            require_same(
                case,
                lambda network, dtype, here=here: (  # type: ignore[misc]
                    here.to(device).on(copy.deepcopy(network).to(device), dtype).cpu(),
                    here.on(network, dtype),
                ),
                f"the output differs there{'' if tokens is None else ' where tokens are dropped'}",
            )


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
    Law("a perturbed block changes the output", _blocks),
    Law(NAME, _device),
    *model_cost.LAWS,
    *model_clock.LAWS,
)
