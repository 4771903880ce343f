"""Tables of the rows: columns, errors, standings, blanks where there is no score; Markdown and Parquet of them."""

from __future__ import annotations

import builtins
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sgbench.report.answers.headline import compare_rules, comparison_table
from sgbench.report.answers.prompt_groups import group_table
from sgbench.report.document import markdown_table
from sgbench.report.select_rows import by_rule, standings_of, with_quality
from sgbench.report.tables.columns import (
    best_rows,
    bold_cells,
    parquet_bytes,
    readable_table,
    result_table,
    settings_texts,
)
from sgbench.stats.frontier import frontier

RESULTS = Path(__file__).parents[2] / "results"


@pytest.fixture
def fashion() -> pd.DataFrame:
    return with_quality(pd.read_csv(RESULTS / "fashion-mnist" / "rows.csv"), "fd")


@pytest.fixture
def shapes() -> pd.DataFrame:
    return with_quality(pd.read_csv(RESULTS / "shapes" / "rows.csv"), "composition")


def test_a_line_for_every_cell(fashion: pd.DataFrame) -> None:
    table, readable = result_table(fashion), readable_table(fashion)
    assert len(table) == len(readable) == 51
    assert table["FD[fashion-cnn]"].equals(fashion["fd"].rename("FD[fashion-cnn]"))
    assert table["cell"].is_unique
    assert readable["FD[fashion-cnn]"][5] == f"{fashion['fd'][5]:.3f} ± {fashion['fd_se'][5]:.3f}"
    assert readable["GMACs/image"][4] == "2.215"
    assert readable["ms/image"][2] == "15.0"
    assert table["standing"].tolist() == readable["standing"].tolist()
    assert "J/image" not in table


def test_standings_are_of_each_model_and_rule(fashion: pd.DataFrame) -> None:
    found = standings_of(fashion)
    assert set(found) == set(fashion["cell"])
    own = by_rule(fashion, "fashion-routing")["sg"]
    on = {cell for cell in own["cell"] if found[cell] == "frontier"}
    assert on == set(own["cell"].iloc[frontier(own["gmacs_per_image"].tolist(), own["fd"].tolist())])
    assert set(found.values()) == {"frontier", "tie", "dominated"}


def test_missing_scores_are_blank(fashion: pd.DataFrame) -> None:
    cell = str(fashion.loc[7, "cell"])
    gone = [c for c in fashion if str(c).startswith(("fd", "quality")) and c not in ("quality_metric",)]
    gone = [c for c in gone if not str(c).startswith("fd_lite0")]
    fashion.loc[7, gone] = None
    fashion.loc[8, "seconds_per_image"] = float("nan")
    readable = readable_table(fashion)
    assert readable.loc[7, "FD[fashion-cnn]"] == ""
    assert readable.loc[7, "FD[fashion-cnn] corrected"] == ""
    assert readable.loc[7, "standing"] == ""
    assert readable.loc[8, "ms/image"] == ""
    assert cell not in standings_of(fashion)
    assert cell not in set(best_rows(fashion)["cell"])
    assert "nan" not in markdown_table(readable, bold_cells(readable, fashion)).lower()
    assert pd.isna(result_table(fashion).loc[7, "FD[fashion-cnn]"])


def test_joules_stand_where_they_were_measured(fashion: pd.DataFrame) -> None:
    fashion["joules_per_image"] = [0.25, *[float("nan")] * 50]
    assert readable_table(fashion)["J/image"].tolist() == ["0.250", *[""] * 50]
    assert result_table(fashion)["J/image"][0] == 0.25


def test_best_rows_are_the_best_of_each_rule(fashion: pd.DataFrame, shapes: pd.DataFrame) -> None:
    best = best_rows(fashion)
    assert best["model"].drop_duplicates().tolist() == ["fashion-routing", "fashion-masking", "fashion-dense"]
    assert best["guidance"].tolist()[:7] == ["none", "cfg", "icg", "ag", "sg", "cfg+sg", "ag+sg"]
    assert (fashion.loc[best.index, "cell"] == best["cell"]).all()
    for _, row in best.iterrows():
        assert row["fd"] == by_rule(fashion, row["model"])[row["guidance"]]["fd"].min()
    for _, row in best_rows(shapes).iterrows():
        assert row["composition"] == by_rule(shapes, "shapes")[row["guidance"]]["composition"].max()


def test_schedules_make_gammas_text(fashion: pd.DataFrame) -> None:
    fashion["gamma_weak"] = ["cosine 0.6 to 0" if rule == "sg" else "0.0" for rule in fashion["guidance"]]
    texts = settings_texts(fashion)
    assert set(texts[fashion["guidance"] == "cfg"]) >= {"w 1.5, 10 steps"}
    assert all("cosine 0.6 to 0" in text for text in texts[fashion["guidance"] == "sg"])


def test_comparisons_name_their_baseline(fashion: pd.DataFrame) -> None:
    models = ["fashion-routing", "fashion-dense"]
    compared = [c for model in models for c in compare_rules(fashion, model, ["gmacs_per_image"])]
    table = comparison_table(compared)
    assert {"against CFG's best", "recall against CFG's", "GMACs saved"} <= set(table)
    assert "baseline" not in table
    mixed = comparison_table([*compared[:-1], compared[-1]._replace(baseline_rule="icg")])
    assert mixed["baseline"].tolist() == ["CFG"] * (len(compared) - 1) + ["ICG"]
    assert {"against the baseline's best", "recall against the baseline's"} <= set(mixed)
    assert comparison_table([]).empty


def test_groups_of_scores_that_some_cells_lack(shapes: pd.DataFrame) -> None:
    shapes.loc[shapes["guidance"] == "ag", "composition"] = float("nan")
    table = group_table(shapes, ["composition"])
    assert "AG" not in set(table["rule"])
    assert {"CFG", "SG"} <= set(table["rule"])
    assert group_table(shapes.assign(composition=float("nan")), ["composition"]).empty


def test_markdown_keeps_digits_and_prints_text_as_it_is() -> None:
    table = pd.DataFrame({"a|b": ["0.680", "**x**"], "rule": ["CFG-Zero*", "<script>"], "n": [1.5, float("nan")]})
    bold = pd.DataFrame({"a|b": [True, False], "rule": [False, False], "n": [False, True]})
    lines = markdown_table(table, bold).splitlines()
    assert [part.strip() for part in lines[0].replace(r"\|", "/").strip("|").split("|")] == ["a/b", "rule", "n"]
    assert [part.strip() for part in lines[2].strip("|").split("|")] == ["**0.680**", r"CFG-Zero\*", "1.5"]
    assert [part.strip() for part in lines[3].strip("|").split("|")] == [r"\*\*x\*\*", r"\<script\>", ""]


def test_parquet_needs_pyarrow(fashion: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., Any] = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    assert parquet_bytes(result_table(fashion)) is None


def test_parquet_holds_the_columns_of_the_csv(fashion: pd.DataFrame) -> None:
    pytest.importorskip("pyarrow")
    table = result_table(fashion)
    written = parquet_bytes(table)
    assert written is not None
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(written)), table, check_dtype=False)
