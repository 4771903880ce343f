"""Best quality within a budget, on rows whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sgbench.report.answers.budgets import amount, budget_table, compare_budgets, sentence, unguided_dense
from sgbench.report.select_rows import with_quality

MODEL = "fashion-routing"


def row(rule: str, steps: int, gmacs: float, value: float, error: float = 0.01, **changes: object) -> dict[str, object]:
    seed = int(1000 * gmacs) + steps + len(rule)
    noise = error * np.random.default_rng(seed).normal(size=20) / np.sqrt(20)
    return {
        "model": MODEL, "guidance": rule, "scale": 2.0, "gamma_strong": 0.0, "gamma_weak": 0.0, "steps": steps,
        "gmacs_per_image": gmacs, "seconds_per_image": gmacs / 50, "joules_per_image": float("nan"),
        "fd": value, "fd_se": error, "composition": -value, "composition_se": error,
        "fd_replicates": " ".join(f"{value + z:.8g}" for z in noise),
        "composition_replicates": " ".join(f"{-value - z:.8g}" for z in noise), **changes,
    }  # fmt: skip


# CFG is at its best for 4, the unguided dense model costs 2 at the usual ten steps.
CELLS = [
    row("none", 10, 2, 3.0), row("none", 20, 4, 2.9), row("cfg", 10, 4, 1.0), row("cfg", 5, 2, 1.5),
    row("sg", 10, 3, 1.8), row("sg", 5, 1.5, 1.2), row("icg", 10, 4, 1.0),
]  # fmt: skip


def table(*rows: dict[str, object], metric: str = "fd") -> pd.DataFrame:
    return with_quality(pd.DataFrame(rows), metric)


def test_budgets_that_coincide_stand_once_with_both_meanings() -> None:
    half, whole = compare_budgets(table(*CELLS), MODEL)
    assert (half.cost, whole.cost) == (2, 4)
    assert half.meaning == "half the cost of CFG's best cell, and the cost of the unguided dense model at 10 steps"
    assert whole.meaning == "the cost of CFG's best cell"


def test_the_best_cell_within_each_budget_is_measured_and_compared() -> None:
    half, whole = compare_budgets(table(*CELLS), MODEL)
    assert {a.rule: a.cell["fd"] for a in half.rules} == {"none": 3.0, "cfg": 1.5, "sg": 1.2}
    assert {a.rule: a.cell["fd"] for a in whole.rules} == {"none": 2.9, "cfg": 1.0, "icg": 1.0, "sg": 1.2}
    gaps = {a.rule: a.difference for a in half.rules}
    assert gaps["cfg"] is None
    assert gaps["sg"] is not None
    assert gaps["sg"].lower < -0.3 < gaps["sg"].upper < 0


def test_the_sentences_name_settings_values_and_verdicts() -> None:
    half, whole = (sentence(budget) for budget in compare_budgets(table(*CELLS), MODEL))
    assert half == (
        "Best FD[fashion-cnn] on fashion-routing within 2.00 GMACs per image (half the cost of CFG's best cell, and "
        "the cost of the unguided dense model at 10 steps): CFG 1.500 ± 0.010 (w 2, 5 steps); better: SG 1.200 ± 0.010 "
        "(w 2, gamma 0 / 0, 5 steps); worse: unguided 3.000 ± 0.010 (gamma 0, 10 steps)."
    )
    assert "CFG 1.000 ± 0.010 (w 2, 10 steps); worse: SG 1.200" in whole
    assert whole.endswith("no significant difference: ICG 1.000 ± 0.010 (w 2, 10 steps).")


def test_a_score_that_is_better_when_higher_keeps_its_own_direction() -> None:
    half, _ = compare_budgets(table(*CELLS, metric="composition"), MODEL)
    gaps = {a.rule: a.difference for a in half.rules}
    assert gaps["sg"] is not None
    assert 0 < gaps["sg"].lower < 0.3 < gaps["sg"].upper
    assert "better: SG -1.200 ± 0.010" in sentence(half)


def test_a_baseline_beyond_the_budget_is_said_and_not_compared() -> None:
    half, _ = compare_budgets(table(*(c for c in CELLS if (c["guidance"], c["steps"]) != ("cfg", 5))), MODEL)
    assert [a.difference for a in half.rules] == [None, None]
    assert sentence(half).endswith(
        ": SG 1.200 ± 0.010 (w 2, gamma 0 / 0, 5 steps), unguided 3.000 ± 0.010 (gamma 0, 10 steps); "
        "CFG has no cell within the budget."
    )


def test_a_rule_alone_is_said_to_be_so() -> None:
    (only,) = compare_budgets(table(CELLS[2]), MODEL)
    assert sentence(only).endswith("CFG 1.000 ± 0.010 (w 2, 10 steps); no other rule has a cell within the budget.")


def test_without_a_baseline_or_a_cost_there_are_no_budgets() -> None:
    assert compare_budgets(table(row("sg", 10, 1, 1.0), row("pdg", 10, 1, 1.0)), MODEL) == []
    assert compare_budgets(table(row("cfg", 10, 1, float("nan"))), MODEL) == []
    assert compare_budgets(table(*CELLS), MODEL, "joules_per_image") == []


def test_the_table_has_a_line_for_each_budget_and_rule() -> None:
    lines = budget_table(compare_budgets(table(*CELLS), MODEL))
    assert lines["rule"].tolist() == ["unguided", "CFG", "SG", "unguided", "CFG", "ICG", "SG"]
    assert lines["verdict"].tolist() == ["worse", "", "better", "worse", "", "no significant difference", "worse"]
    assert lines["budget"].unique().tolist() == ["2.00 GMACs per image", "4.00 GMACs per image"]
    assert (lines["difference"] == "").tolist() == (lines["rule"] == lines["baseline"]).tolist()


def test_the_unguided_dense_cell_is_the_cheapest_at_the_usual_steps() -> None:
    rows = table(*CELLS, row("none", 10, 2.5, 9.0), row("none", 10, 0.5, 9.0, gamma_strong=0.7))
    found = unguided_dense(rows, MODEL)
    assert found is not None
    assert found["gmacs_per_image"] == 2


def test_gammas_that_are_text_are_read_and_schedules_are_not_dense() -> None:
    rows = table(row("none", 10, 2, 3.0, gamma_strong="0.0"), row("none", 10, 1, 3.0, gamma_strong="cosine 0.6 to 0"))
    found = unguided_dense(rows, MODEL)
    assert found is not None
    assert found["gmacs_per_image"] == 2
    assert unguided_dense(rows[1:], MODEL) is None


def test_without_one_at_the_usual_steps_the_cheapest_of_others_stands_for_it() -> None:
    found = unguided_dense(table(*CELLS[1:]), MODEL)
    assert found is not None
    assert found["steps"] == 20


@pytest.mark.parametrize(
    ("cost", "said"), [(1.10739, "1.11"), (0.0282, "0.0282"), (12.345, "12.3"), (118.6, "119"), (23456.7, "23,457")]
)
def test_a_cost_keeps_three_digits_and_no_exponent(cost: float, said: str) -> None:
    assert amount(cost) == said
