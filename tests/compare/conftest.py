"""Lines of both kinds, made by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sgbench.compare.lines import Cost, Line, Score
from sgbench.results.rows import read_rows

ROOT = Path(__file__).parents[2]
Write = Callable[..., Path]
COST = Cost(1.5, 0.02, 0.019, 0.021, "cpu", 2, 24)


@pytest.fixture(scope="session")
def score() -> Callable[..., Score]:
    """The mean of some groups, as a jackknife over them tells it."""

    def make(parts: Sequence[float], protocol_id: str = "p") -> Score:
        groups = np.asarray(parts, dtype=float)
        replicates = (groups.sum() - groups) / (len(groups) - 1)
        error = float(groups.std(ddof=1) / np.sqrt(len(groups)))
        return Score(float(groups.mean()), error, tuple(replicates.tolist()), protocol_id, None)

    return make


@pytest.fixture(scope="session")
def line() -> Callable[..., Line]:
    """A cell whose settings are its name."""

    def make(
        name: str = "a", samples: int = 100, seed: int | None = 0, cost: Cost | None = COST, **scores: Score
    ) -> Line:
        return Line(name, f"id-{name}", samples, seed, (name,), ("w",) * 4, scores, cost, "")

    return make


@pytest.fixture(scope="session")
def fashion() -> pd.DataFrame:
    """The committed rows; not to be changed."""
    return read_rows(ROOT / "results/fashion-mnist/rows.csv")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes rows to a csv file."""

    def to_file(rows: pd.DataFrame, name: str = "rows.csv") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows.to_csv(path, index=False)
        return path

    return to_file
