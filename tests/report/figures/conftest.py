"""Rows as a suite's own, with a quality that is a known function of the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from sgbench.report.figures.plotting import LOOK

Row = Callable[..., dict[str, Any]]


def _gamma(value: object) -> float:
    return 0.3 if isinstance(value, str) else float(str(value))


@pytest.fixture
def row() -> Row:
    """Make a row. FD is least at gamma_strong 0.2, gamma_weak 0.75 and w 1.6; a quarter of a call costs alike always.

    All rows share the noise of their replicates but for a tenth, as cells of one suite do.
    """

    def make(
        rule: str = "sg", strong: Any = 0.0, weak: Any = 0.0, scale: float = 1.6, **changes: Any
    ) -> dict[str, Any]:
        steps = int(changes.get("steps", 10))
        own = _gamma(strong), _gamma(weak)
        calls = (1 - 0.75 * own[0]) + (0 if rule == "none" else 1 - 0.75 * own[1])
        gmacs = 0.1 * steps * calls
        value = float(changes.pop("fd", 0.0))
        if not value:
            far = (own[0] - 0.2) ** 2 + (own[1] - 0.75) ** 2 + (scale - 1.6) ** 2
            value = 0.1 * (1 + 4 * far + 3 / steps) * (2 + 4 * own[0] ** 2 if rule == "none" else 1)
        error = 0.03 * value
        name = f"{rule} {strong} {weak} {scale} {changes}"
        own_noise = np.random.default_rng(abs(sum(map(ord, name)))).normal(size=20)
        noise = np.random.default_rng(0).normal(size=20) + 0.1 * own_noise
        noise = (noise - noise.mean()) / np.sqrt(19 / 20 * ((noise - noise.mean()) ** 2).sum())
        seconds = 0.005 + 0.025 * gmacs
        made = {
            "cell": name, "model": "fashion-routing", "guidance": rule, "scale": scale, "steps": steps,
            "sampler": "euler", "gamma_strong": strong, "gamma_weak": weak, "parameters": np.nan, "samples": 480,
            "gmacs_per_image": gmacs, "seconds_per_image": seconds, "seconds_q25": 0.98 * seconds,
            "seconds_q75": 1.03 * seconds, "joules_per_image": np.nan, "device": "CPU", "threads": 2, "batch": 24,
            "iterations": np.nan, "auxiliary_iterations": np.nan, "fd_protocol": "0123456789ab", "fd_floor": 0.015,
        }  # fmt: skip
        for metric, level in {"fd": value, "precision": 0.9 - value / 10, "recall": 0.6}.items():
            made |= {
                metric: level,
                f"{metric}_se": error,
                f"{metric}_replicates": " ".join(f"{level + error * z:.7g}" for z in noise),
            }
        return made | changes

    return make


@pytest.fixture
def sweep(row: Row) -> pd.DataFrame:
    """Unguided cells of falling gamma, CFG, and grids of SG (below the diagonal) and AG+SG (whole) at two scales."""
    gammas = [0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9]
    rows = [row("none", strong, scale=1.0) for strong in gammas]
    rows += [row("cfg", scale=scale) for scale in (1.25, 1.6, 2.0)]
    rows += [row("sg", s, w, scale) for scale in (1.5, 2.0) for s in gammas[:5] for w in gammas if s < w]
    rows += [row("ag+sg", s, w, scale) for scale in (1.5, 2.0) for s in gammas[:5] for w in (0, 0.3, 0.6, 0.9)]
    return pd.DataFrame(rows)


@pytest.fixture(autouse=True)
def look() -> Iterator[None]:
    """The look that `draw_figures` gives to every figure."""
    with mpl.rc_context(LOOK):
        yield
