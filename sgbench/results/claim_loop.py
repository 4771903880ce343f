"""Work through units in order, beside other processes that do the same in the same results tree."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from sgbench.base.signals import stop_if_asked
from sgbench.results.claims import Claims, pauses

Unit = TypeVar("Unit")


def take_turns(
    units: Iterable[Unit],
    name: Callable[[Unit], str],
    work: Callable[[Unit], None],
    claims: Claims,
    say: Callable[[str], None],
) -> None:
    """Do `work` on every unit while holding the claim on its name.

    Units that others hold are left for later, and then waited for: `work` has to look whether they are done, and does
    those whose process died. It is thus called once for every unit.
    """
    waiting, patience, told = list(units), pauses(), False
    while waiting:
        left = []
        for unit in waiting:
            stop_if_asked()
            with claims.held(name(unit)) as mine:
                if mine:
                    work(unit)
                else:
                    left.append(unit)
            notice = claims.notice()
            if notice:
                say(notice)
        if len(left) < len(waiting):
            patience = pauses()
        elif not told:
            say(waiting_for(len(left)))
            told = True
        if left:
            time.sleep(next(patience))
        waiting = left


def waiting_for(units: int) -> str:
    """The message, given once, when other processes work on all that is left."""
    return f"waiting for another process that works in this tree ({units} parts are with it)"
