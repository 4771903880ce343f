"""The generated sentences, for rows whose answer is known: a win, a loss, a draw."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sgbench.report.answers.answer import baseline_of
from sgbench.report.answers.headline import all_tied, compare_rules, headline_rule, nothing_to_compare, sentences
from sgbench.report.select_rows import by_rule, with_quality

CFG, SG = ("cfg", 1.5, 0.0, 0.0), ("sg", 2.0, 0.0, 0.7)
UNGUIDED, PDG, AG_SG = ("none", 1.0, 0.0, 0.0), ("pdg", 1.5, 0.0, 0.0), ("ag+sg", 1.5, 0.0, 0.7)
MODEL = "fashion-routing"


def row(rule: tuple[str, float, float, float], gmacs: float, fd: float, error: float, seed: int) -> dict[str, object]:
    noise = np.random.default_rng(seed).normal(size=20)
    noise = (noise - noise.mean()) / np.sqrt(19 / 20 * ((noise - noise.mean()) ** 2).sum())
    text = " ".join(f"{fd + error * z:.8g}" for z in noise)
    name, scale, strong, weak = rule
    return {
        "cell": f"{seed:016x}", "model": MODEL, "guidance": name, "scale": scale, "steps": 10,
        "gamma_strong": strong, "gamma_weak": weak, "gmacs_per_image": gmacs, "seconds_per_image": gmacs / 50,
        "fd": fd, "fd_se": error, "fd_replicates": text,
        "recall": 0.8, "recall_se": 0.01, "recall_replicates": " ".join(f"{0.8 + 0.001 * z:.8g}" for z in noise),
    }  # fmt: skip


def table(*rows: dict[str, object]) -> pd.DataFrame:
    return with_quality(pd.DataFrame(rows), "fd")


def words(*rows: dict[str, object]) -> list[str]:
    (comparison,) = compare_rules(table(*rows), MODEL, ["gmacs_per_image"])
    return sentences(comparison)


def test_a_win_is_said_with_its_interval() -> None:
    first, second = words(row(CFG, 2.0, 1.0, 0.01, 1), row(SG, 1.0, 2.0, 0.01, 2), row(SG, 1.6, 0.5, 0.01, 3))
    assert first.startswith(
        "SG reaches CFG's best FD[fashion-cnn] on fashion-routing (1.000 ± 0.010 at w 1.5, 10 steps) "
        "with 30% fewer GMACs per image (95 % interval"
    )
    assert "FD[fashion-cnn] -0.500" in second
    assert ", better)" in second


def test_a_saving_at_the_cheapest_point_is_called_a_lower_bound() -> None:
    first, _ = words(row(CFG, 2.0, 1.0, 0.01, 1), row(SG, 1.6, 0.5, 0.01, 3))
    assert first.endswith(
        "with at least 20% fewer GMACs per image: its cheapest frontier cell is already that good, so it may save more."
    )


def test_more_compute_at_the_cheapest_point_is_an_upper_bound() -> None:
    first, _ = words(row(CFG, 1.0, 1.0, 0.01, 1), row(SG, 1.6, 0.5, 0.01, 3))
    assert first.endswith(
        "with at most 60% more GMACs per image: its cheapest frontier cell is already that good, so it may need less."
    )


def test_equal_cost_is_said_so() -> None:
    first, _ = words(row(CFG, 2.0, 1.0, 0.01, 1), row(SG, 2.0, 0.5, 0.01, 3))
    assert "with the same cost (95 % interval 0% to 0% saved)" in first


def test_a_loss_is_said_plainly() -> None:
    first, second = words(row(CFG, 2.0, 1.0, 0.01, 1), row(SG, 1.6, 1.5, 0.01, 2))
    assert first == (
        "SG does not reach CFG's best FD[fashion-cnn] on fashion-routing (1.000 ± 0.010 at w 1.5, 10 steps) "
        "at any setting of this suite, so it saves no GMACs per image."
    )
    assert "FD[fashion-cnn] +0.500" in second
    assert ", worse)" in second


def test_a_draw_is_no_significant_difference() -> None:
    first, second = words(row(CFG, 2.0, 1.0, 0.2, 1), row(SG, 1.6, 0.98, 0.2, 2))
    assert first.startswith("No significant difference in GMACs per image: SG reaches")
    assert "no significant difference" in second


def test_a_miss_within_noise_is_no_significant_difference() -> None:
    first, _ = words(row(CFG, 2.0, 1.0, 0.05, 1), row(SG, 1.6, 1.001, 0.05, 2))
    assert first.startswith("No significant difference in GMACs per image: the estimates for SG do not quite reach")


def test_more_compute_is_called_more() -> None:
    first, _ = words(row(CFG, 1.0, 1.0, 0.001, 1), row(SG, 0.9, 2.0, 0.001, 2), row(SG, 1.9, 0.5, 0.001, 3))
    assert "more GMACs per image" in first
    assert "fewer" not in first


def test_without_cfg_the_next_baseline_is_named_in_its_place() -> None:
    first, second = words(row(UNGUIDED, 1.0, 2.0, 0.01, 1), row(SG, 0.8, 1.0, 0.01, 2))
    assert first.startswith(
        "SG reaches the unguided model's best FD[fashion-cnn] on fashion-routing (2.000 ± 0.010 at gamma 0, 10 steps) "
        "with at least 20% fewer GMACs per image"
    )
    assert "80% of the unguided model's GMACs) against the unguided model (gamma 0, 10 steps)" in second
    assert "CFG" not in first + second


@pytest.mark.parametrize(
    ("run", "baseline"),
    [("none apg icg ag cfg slg", "cfg"), ("none apg icg ag slg", "ag"), ("none apg icg slg", "icg"),
     ("none apg slg", "apg"), ("none slg", "none"), ("sg slg", None)],
)  # fmt: skip
def test_the_baseline_is_the_first_of_those_that_can_be(run: str, baseline: str | None) -> None:
    rows = table(*(row((rule, 1.5, 0.0, 0.0), 1.0, 1.0, 0.01, seed) for seed, rule in enumerate(run.split())))
    assert baseline_of(by_rule(rows, MODEL)) == baseline
    assert {c.baseline_rule for c in compare_rules(rows, MODEL, [])} == ({baseline} if baseline else set())


def test_a_baseline_without_scores_is_none() -> None:
    rows = table(row(CFG, 2.0, float("nan"), 0.01, 1), row(UNGUIDED, 1.0, 2.0, 0.01, 2), row(SG, 0.8, 1.0, 0.01, 3))
    (comparison,) = compare_rules(rows, MODEL, [])
    assert comparison.baseline_rule == "none"


@pytest.mark.parametrize(
    ("rules", "told"),
    [(("cfg", "pdg", "ag+sg", "cfg+sg", "sg"), "sg"), (("cfg", "ag+sg", "cfg+sg"), "cfg+sg"),
     (("cfg", "pdg", "ag+sg"), "ag+sg"), (("cfg", "none", "slg", "pdg"), "pdg"), (("cfg", "none"), None)],
)  # fmt: skip
def test_a_sparse_rule_is_told_first(rules: tuple[str, ...], told: str | None) -> None:
    rows = table(*(row((rule, 1.5, 0.0, 0.0), 1.0, 1.0, 0.01, seed) for seed, rule in enumerate(rules)))
    assert headline_rule(compare_rules(rows, MODEL, [])) == told


def test_cells_without_a_score_are_left_out() -> None:
    cells = [row(CFG, 2.0, 1.0, 0.01, 1), row(SG, 1.0, 2.0, 0.01, 2), row(SG, 1.6, 0.5, 0.01, 3)]
    unscored = {**row(SG, 0.1, 0.1, 0.01, 4), "fd": float("nan"), "fd_se": float("nan"), "fd_replicates": float("nan")}
    assert words(*cells, unscored) == words(*cells)


def test_a_cost_that_some_cells_lack_is_not_compared() -> None:
    rows = table(row(CFG, 2.0, 1.0, 0.01, 1), row(SG, 1.6, 0.5, 0.01, 2))
    rows["joules_per_image"] = [3.0, float("nan")]
    (comparison,) = compare_rules(rows, MODEL, ["gmacs_per_image", "joules_per_image"])
    assert list(comparison.savings) == ["gmacs_per_image"]


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ([CFG], "fashion-routing has scores of FD[fashion-cnn] for CFG only, so there is nothing to compare it with."),
        ([UNGUIDED, CFG], "for unguided and CFG only, so there is no second guided rule to compare."),
        ([SG, PDG], "for SG and PDG, but for none of the baselines (CFG, AG, ICG, APG, unguided)."),
        ([], "No cell of fashion-routing has a score of FD[fashion-cnn], so there is nothing to compare."),
    ],
)
def test_where_nothing_can_be_compared_it_is_said_why(rules: list[tuple[str, float, float, float]], why: str) -> None:
    unscored = row(SG, 1, float("nan"), 0.1, 9)
    rows = table(*(row(rule, 1, 1, 0.1, seed) for seed, rule in enumerate(rules)), unscored)
    assert compare_rules(rows, MODEL, ["gmacs_per_image"]) == []
    assert why in nothing_to_compare(rows, MODEL)


def tied(*rows: dict[str, object]) -> str | None:
    return all_tied(compare_rules(table(*rows), MODEL, ["gmacs_per_image"]))


def test_where_all_is_alike_it_is_said() -> None:
    cells = [row(CFG, 2.0, 1.0, 0.2, 1), row(SG, 1.6, 0.98, 0.2, 2), row(AG_SG, 1.6, 1.01, 0.2, 3)]
    assert tied(*cells) == (
        "No significant difference on fashion-routing: at their best FD[fashion-cnn], CFG, SG and AG+SG do not "
        "differ significantly, and none saves compute significantly."
    )


def test_any_difference_or_saving_beyond_noise_is_no_tie() -> None:
    better = [row(CFG, 2.0, 1.0, 0.2, 1), row(SG, 1.6, 0.1, 0.01, 2)]
    apart = [row(CFG, 2.0, 1.0, 0.5, 1), row(SG, 1.6, 0.6, 0.01, 2), row(AG_SG, 1.6, 1.2, 0.01, 3)]
    same = row(CFG, 2.0, 1.0, 0.001, 1)
    cheaper = [same, {**same, "guidance": "sg", "gmacs_per_image": 1.0, "fd": 0.9999}]
    assert [tied(*cells) for cells in (better, apart, cheaper)] == [None, None, None]
    assert all_tied([]) is None


@pytest.mark.parametrize("other", ["fashion-dense", "fashion-masking"])
def test_models_are_never_mixed(other: str) -> None:
    rows = pd.DataFrame([row(CFG, 2.0, 1.0, 0.01, 1), {**row(SG, 1.0, 0.5, 0.01, 2), "model": other}])
    assert compare_rules(with_quality(rows, "fd"), MODEL, ["gmacs_per_image"]) == []
