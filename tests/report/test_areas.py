"""Areas of rows whose answer is known, with the reference point that they are measured from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sgbench.report.answers.areas import area_table, compare_areas, sentence
from sgbench.report.select_rows import with_quality

ROOT = Path(__file__).parents[2]
MODEL = "fashion-routing"


def row(rule: str, gmacs: float, value: float, error: float = 0.005, **changes: object) -> dict[str, object]:
    seed = int(1000 * gmacs) + len(rule)
    noise = error * np.random.default_rng(seed).normal(size=20) / np.sqrt(20)
    return {
        "model": MODEL, "guidance": rule, "scale": 2.0, "gamma_strong": 0.0, "gamma_weak": 0.0, "steps": 10,
        "gmacs_per_image": gmacs, "fd": value, "fd_se": error, "composition": -value, "composition_se": error,
        "fd_replicates": " ".join(f"{value + z:.8g}" for z in noise),
        "composition_replicates": " ".join(f"{-value - z:.8g}" for z in noise), **changes,
    }  # fmt: skip


# The reference costs 11, a tenth above 10, at the unguided value 5; the ideal corner is 1.
CELLS = [row("none", 5, 5.0), row("cfg", 10, 1.0), row("sg", 5.5, 3.0), row("icg", 10, 1.0)]


def table(*rows: dict[str, object], metric: str = "fd") -> pd.DataFrame:
    return with_quality(pd.DataFrame(rows), metric)


def test_areas_are_shares_of_the_stated_box() -> None:
    found = compare_areas(table(*CELLS), MODEL)
    assert [a.rule for a in found] == ["none", "cfg", "icg", "sg"]
    assert [a.area.value for a in found] == pytest.approx([0, 1 / 11, 1 / 11, 1 / 4])
    assert [None if a.difference is None else round(a.difference.value, 6) for a in found] == [
        -0.090909,
        None,
        0,
        0.159091,
    ]
    assert found[0].frame.box == pytest.approx((11, 5, 1))


def test_the_sentence_states_the_reference_and_the_verdicts() -> None:
    said = sentence(compare_areas(table(*CELLS), MODEL))
    assert said.startswith(
        "Hypervolume on fashion-routing between the reference point (11.0 GMACs per image, a tenth above the most "
        "expensive cell; FD[fashion-cnn] 5.000 ± 0.005, the unguided dense model's) and zero cost at the best value "
        "of any rule (1.000 ± 0.005): CFG covers 9.1% (95 % interval 9.1% to 9.1%); more: SG 25.0% (by "
        "15.8 to 16.0 points)"
    )
    assert "; less: unguided 0.0% (by 9." in said
    assert said.endswith("; no significant difference: ICG 9.1%.")


def test_a_score_that_is_better_when_higher_gives_the_same_areas() -> None:
    lower, higher = (compare_areas(table(*CELLS, metric=m), MODEL) for m in ("fd", "composition"))
    assert [a.area for a in higher] == [pytest.approx(a.area) for a in lower]
    assert "composition -5.000 ± 0.005" in sentence(higher)


def test_without_an_unguided_dense_cell_the_worst_value_is_the_reference() -> None:
    sparse = row("none", 3, 4.0, gamma_strong="cosine 0.6 to 0")
    said = sentence(compare_areas(table(*CELLS[1:], sparse), MODEL))
    assert "FD[fashion-cnn] 4.000 ± 0.005, the worst cell's" in said


def test_without_a_baseline_areas_stand_alone() -> None:
    found = compare_areas(table(row("sg", 10, 1.0), row("pdg", 5, 2.0)), MODEL)
    assert [a.difference for a in found] == [None, None]
    assert sentence(found).endswith(": SG 9.1%, PDG 0.0%.")


def test_where_nothing_beats_the_reference_it_is_said() -> None:
    assert sentence(compare_areas(table(row("none", 5, 1.0), row("cfg", 10, 2.0)), MODEL)) == (
        "No cell of fashion-routing has a better FD[fashion-cnn] than the reference point (1.000 ± 0.005, the unguided "
        "dense model's), so no frontier covers any area."
    )


def test_cells_without_a_score_count_nothing() -> None:
    unscored = row("cfg", 99, float("nan"))
    assert area_table(compare_areas(table(*CELLS, unscored), MODEL)).equals(
        area_table(compare_areas(table(*CELLS), MODEL))
    )
    assert compare_areas(table(unscored), MODEL) == []


def test_the_table_has_a_line_for_each_rule() -> None:
    lines = area_table(compare_areas(table(*CELLS), MODEL))
    assert lines["rule"].tolist() == ["unguided", "CFG", "ICG", "SG"]
    assert lines["verdict"].tolist() == ["less", "", "no significant difference", "more"]
    assert lines["area"].tolist()[1] == "9.1% [9.1%, 9.1%]"
    assert lines["difference"].tolist()[1] == ""
    assert set(lines["reference GMACs/image"]) == {"11.0"}


@pytest.mark.parametrize(("suite", "metric"), [("fashion-mnist", "fd"), ("shapes", "composition")])
def test_the_committed_rows_have_areas_for_every_rule(suite: str, metric: str) -> None:
    rows = with_quality(pd.read_csv(ROOT / "results" / suite / "rows.csv"), metric)
    for model in dict.fromkeys(rows["model"]):
        found = compare_areas(rows, model)
        assert {a.rule for a in found} == set(rows.loc[rows["model"] == model, "guidance"])
        assert all(0 <= a.area.lower <= a.area.value <= a.area.upper <= 1 for a in found)
        assert len(sentence(found)) < 600
