"""The laws of what a model costs: fvcore counts it, and dropped tokens save multiply-accumulates and time."""

import math
import time
from typing import Final

import torch

from sgbench.conformance.law import BrokenError, Law, NotApplicableError
from sgbench.conformance.model_case import Call, ModelCase, call_of
from sgbench.cost.macs import MiscountError
from sgbench.guidance.subset_rules import kept_tokens
from sgbench.networks.denoiser import Denoiser

GAMMAS: Final = (0.0, 0.25, 0.5, 0.75)
ROWS: Final = 8
# Seconds below which a call is too short to be timed, repetitions, and the share of the saving that must show.
SHORTEST, TIMES, SHOWN = 0.02, 5, 1 / 3


def _counts(case: ModelCase) -> None:
    fewest = kept_tokens(case.grid, GAMMAS[-1]) if case.drops else case.grid
    try:
        for kept in {case.grid, fewest}:
            case.macs(kept)
    except MiscountError as error:
        raise BrokenError(error.what) from error


def _macs(case: ModelCase, kept: int) -> int:
    try:
        return case.macs(kept)
    except MiscountError as error:
        raise NotApplicableError("what a call costs cannot be counted") from error


def _macs_fall(case: ModelCase) -> None:
    if not case.drops:
        raise NotApplicableError("it cannot drop tokens")
    before: tuple[int, int] | None = None
    for gamma in GAMMAS:
        kept = kept_tokens(case.grid, gamma)
        macs = _macs(case, kept)
        if before is not None and kept < before[0] and macs >= before[1]:
            raise BrokenError(
                f"with {kept} of {case.grid} tokens a call costs {macs:,} multiply-accumulates, with {before[0]} "
                f"{before[1]:,}"
            )
        before = kept, macs


def _time_falls(case: ModelCase) -> None:
    few = kept_tokens(2 * case.kept, GAMMAS[-1])
    share = _macs(case, few) / _macs(case, case.grid)
    if share > 1 - SHOWN:
        raise NotApplicableError(f"a call with {few} of {case.grid} tokens costs {share:.0%} of one with all")
    rows = range(ROWS)
    dense, sparse = _seconds(case.network, call_of(case, rows), call_of(case, rows, case.tokens(rows, few)))
    if dense < SHORTEST:
        raise NotApplicableError(f"a call of {ROWS} images takes {1000 * dense:.1f} ms, which is too short to time")
    if sparse / dense > 1 - SHOWN * (1 - share):
        raise BrokenError(
            f"with {few} of {case.grid} tokens a call takes {sparse / dense:.0%} of the time, and costs {share:.0%} of "
            "the multiply-accumulates"
        )


def _seconds(network: Denoiser, *calls: Call) -> list[float]:
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


TIME: Final = Law("time falls where tokens are dropped", _time_falls)
"""Of the machine as of the model: tests leave it out."""
LAWS: Final[tuple[Law[ModelCase], ...]] = (
    Law("fvcore counts every operator, and what is stated", _counts),
    Law("multiply-accumulates fall where tokens are dropped", _macs_fall),
    TIME,
)
