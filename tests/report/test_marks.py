"""Bold marks: the best and what ties with it, the same as pair by pair, on each model apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from sgbench.report.select_rows import replicates
from sgbench.report.tables.columns import best_and_tied, bold_cells
from sgbench.stats.estimates import paired_difference

RESULTS = Path(__file__).parents[2] / "results"


def rows(values: list[float], error: float = 0.0, metric: str = "fd", model: str = "m") -> pd.DataFrame:
    """Rows whose jackknife replicates have noise of their own."""
    noise = np.random.default_rng(0).normal(size=(len(values), 20)) * error
    texts = [" ".join(f"{v + z:.9g}" for z in row) for v, row in zip(values, noise, strict=True)]
    return pd.DataFrame({"model": model, metric: values, f"{metric}_replicates": texts})


@pytest.mark.slow
@given(
    st.lists(st.floats(0, 1).map(lambda v: round(v, 3)), min_size=1, max_size=12),
    st.sampled_from([0.0, 0.001, 0.02]),
    st.sampled_from(["fd", "recall"]),
)
def test_marks_are_those_of_pairs(values: list[float], error: float, metric: str) -> None:
    frame = rows(values, error, metric)
    spread = [replicates(text) for text in frame[f"{metric}_replicates"]]
    best = int(np.argmin(values) if metric == "fd" else np.argmax(values))
    width = t.ppf(1 - 0.025 / max(len(values) - 1, 1), 19)
    gaps = [
        paired_difference(value, values[best], own, spread[best]) for value, own in zip(values, spread, strict=True)
    ]
    expected = [abs(gap.value) <= width * gap.standard_error for gap in gaps]
    assert best_and_tied(frame, metric) == expected


def test_higher_or_lower_is_better_or_neither() -> None:
    values = [0.1, 0.5, 0.9]
    assert best_and_tied(rows(values, metric="fd"), "fd") == [True, False, False]
    assert best_and_tied(rows(values, metric="composition"), "composition") == [False, False, True]
    assert best_and_tied(rows(values, metric="nearest_train"), "nearest_train") == [False] * 3


def test_models_are_apart_in_any_order() -> None:
    frame = pd.concat([rows([0.4, 0.2], model="a"), rows([0.9, 0.8], model="b")]).iloc[[0, 2, 1, 3]]
    assert best_and_tied(frame, "fd") == [False, False, True, True]


def test_equal_values_tie_and_missing_ones_never() -> None:
    frame = rows([0.3, float("nan"), 0.3, 0.4])
    frame["fd_replicates"] = frame["fd_replicates"].where(frame["fd"].notna())
    assert best_and_tied(frame, "fd") == [True, False, True, False]
    assert best_and_tied(rows([float("nan")] * 2), "fd") == [False, False]


def test_other_groups_pair_with_nothing() -> None:
    """Ten groups beside twenty delete other images: only an equal value can tie."""
    frame = rows([0.30, 0.3001, 0.3001], 0.1)
    assert best_and_tied(frame, "fd") == [True, True, True]
    frame.loc[1, "fd_replicates"] = " ".join(str(frame.loc[1, "fd_replicates"]).split()[:10])
    assert best_and_tied(frame, "fd") == [True, False, True]
    assert best_and_tied(frame.drop(columns="fd_replicates"), "fd") == [True, False, False]


def test_committed_rows() -> None:
    """Golden: the committed rows, computed by `paired_difference` for every pair with the best of five."""
    frame = pd.read_csv(RESULTS / "fashion-mnist" / "rows.csv")
    own = frame[frame["model"] == "fashion-dense"]
    assert best_and_tied(own, "fd") == [False, True, True, False, False]
    bold = bold_cells(pd.DataFrame({"rule": own["guidance"], "recall": "", "KD[fashion-cnn]": ""}), own)
    assert not bold["rule"].any()
    assert bold["KD[fashion-cnn]"].tolist() == best_and_tied(own, "kd")
    assert bold.index.equals(own.index)
    best = own["recall"].idxmax()
    for place, marked in bold["recall"].items():
        gap = paired_difference(
            float(own.loc[place, "recall"]),
            float(own.loc[best, "recall"]),
            replicates(str(own.loc[place, "recall_replicates"])),
            replicates(str(own.loc[best, "recall_replicates"])),
        )
        assert marked == (abs(gap.value) <= t.ppf(1 - 0.025 / 4, 19) * gap.standard_error)
