"""Whether two distances agree about the rules, for rows whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sgbench.report.answers.metric_agreement import compare_metrics, sentence

NAMES = {"cfg": (1.5, 0.0), "sg": (2.0, 0.7), "icg": (1.5, 0.0)}


def rows(fd: dict[str, float], other: dict[str, float], error: float = 0.01, name: str = "fd_lite0") -> pd.DataFrame:
    rng = np.random.default_rng(0)

    def replicates(value: float) -> str:
        noise = rng.normal(size=20)
        noise = (noise - noise.mean()) / np.sqrt(19 / 20 * ((noise - noise.mean()) ** 2).sum())
        return " ".join(f"{value + error * z:.8g}" for z in noise)

    return pd.DataFrame(
        [
            {
                "model": "fashion-routing", "guidance": rule, "fd": fd[rule], name: other[rule],
                "fd_replicates": replicates(fd[rule]), f"{name}_replicates": replicates(other[rule]),
            }
            for rule in NAMES
        ]
    )  # fmt: skip


def words(fd: dict[str, float], lite: dict[str, float], error: float = 0.01) -> str:
    (found,) = compare_metrics(rows(fd, lite, error), "fashion-routing", ["fd", "fd_lite0"])
    return sentence(found)


def test_agreement_is_said_once() -> None:
    found = words({"cfg": 1, "sg": 2, "icg": 3}, {"cfg": 10, "sg": 20, "icg": 30})
    assert found.startswith("FD[lite0] against FD[fashion-cnn] on fashion-routing: Kendall's tau over 3 cells is 1.00")
    assert found.endswith("Both rank the rules, by their best cells, in the same order: CFG, SG, ICG.")


def test_a_conflict_beyond_noise_names_the_rules() -> None:
    found = words({"cfg": 1, "sg": 2, "icg": 3}, {"cfg": 20, "sg": 10, "icg": 30})
    assert "best first: CFG, SG, ICG in FD[fashion-cnn]; SG, CFG, ICG in FD[lite0]." in found
    assert found.endswith("In significantly different order: CFG and SG.")


def test_a_conflict_within_noise_is_none() -> None:
    found = words({"cfg": 1, "sg": 1.001, "icg": 3}, {"cfg": 20, "sg": 10, "icg": 30})
    assert found.endswith("No two rules are in significantly different order.")


def test_one_distance_or_few_rules_have_nothing_to_compare() -> None:
    three = rows({"cfg": 1, "sg": 2, "icg": 3}, {"cfg": 1, "sg": 2, "icg": 3})
    assert compare_metrics(three, "fashion-routing", ["fd"]) == []
    assert compare_metrics(three.iloc[:2], "fashion-routing", ["fd", "fd_lite0"]) == []
    assert compare_metrics(three, "another", ["fd", "fd_lite0"]) == []


# A distance, of which less is better, beside a score, of which more is


def mixed(fd: dict[str, float], score: dict[str, float], metrics: tuple[str, str] = ("fd", "composition")) -> str:
    found = rows(fd, score, name="composition")
    (compared,) = compare_metrics(found, "fashion-routing", metrics)
    return sentence(compared)


def test_a_score_that_falls_with_a_distance_that_rises_agrees_with_it() -> None:
    found = mixed({"cfg": 1, "sg": 2, "icg": 3}, {"cfg": 0.9, "sg": 0.5, "icg": 0.2})
    assert "composition against FD[fashion-cnn] on fashion-routing: Kendall's tau over 3 cells is 1.00" in found
    assert found.endswith("Both rank the rules, by their best cells, in the same order: CFG, SG, ICG.")


def test_a_score_that_rises_with_a_distance_contradicts_it() -> None:
    found = mixed({"cfg": 1, "sg": 2, "icg": 3}, {"cfg": 0.2, "sg": 0.5, "icg": 0.9}, ("composition", "fd"))
    assert "over 3 cells is -1.00" in found
    assert "best first: ICG, SG, CFG in composition; CFG, SG, ICG in FD[fashion-cnn]." in found
    assert found.endswith("In significantly different order: CFG and ICG; CFG and SG; ICG and SG.")


def test_the_best_cell_of_a_rule_is_the_highest_of_a_score() -> None:
    found = rows({"cfg": 1, "sg": 2, "icg": 3}, {"cfg": 0.9, "sg": 0.5, "icg": 0.2}, name="composition")
    worse = found.iloc[:1].assign(fd=9.0, composition=0.1)
    (compared,) = compare_metrics(pd.concat([found, worse]), "fashion-routing", ["fd", "composition"])
    assert compared.rankings == (["cfg", "sg", "icg"], ["cfg", "sg", "icg"])


def test_values_that_are_all_alike_rank_nothing() -> None:
    alike, apart = dict.fromkeys(NAMES, 1.0), {"cfg": 3.0, "sg": 2.0, "icg": 1.0}
    assert words(alike, apart, error=0.0) == (
        "FD[lite0] and FD[fashion-cnn] cannot be compared on fashion-routing: all cells have the same value of one "
        "of them."
    )
