"""The generated sentences, for rows whose answer is known: a win, a loss, a draw."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sgbench.report.headline import compare_rules, sentences
from sgbench.report.points import with_quality

CFG, SG = ("cfg", 1.5, 0.0, 0.0), ("sg", 2.0, 0.0, 0.7)


def row(rule: tuple[str, float, float, float], gmacs: float, fd: float, error: float, seed: int) -> dict[str, object]:
    noise = np.random.default_rng(seed).normal(size=20)
    noise = (noise - noise.mean()) / np.sqrt(19 / 20 * ((noise - noise.mean()) ** 2).sum())
    text = " ".join(f"{fd + error * z:.8g}" for z in noise)
    name, scale, strong, weak = rule
    return {
        "cell": f"{seed:016x}", "model": "fashion-routing", "guidance": name, "scale": scale, "steps": 10,
        "gamma_strong": strong, "gamma_weak": weak, "gmacs_per_image": gmacs, "seconds_per_image": gmacs / 50,
        "fd": fd, "fd_se": error, "fd_replicates": text,
        "recall": 0.8, "recall_se": 0.01, "recall_replicates": " ".join(f"{0.8 + 0.001 * z:.8g}" for z in noise),
    }  # fmt: skip


def words(*rows: dict[str, object]) -> list[str]:
    (comparison,) = compare_rules(with_quality(pd.DataFrame(rows), "fd"), "fashion-routing", ["gmacs_per_image"])
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
    assert "20% fewer" in first
    assert "the saving is at least this" in first


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
    assert first.startswith("No significant difference in GMACs per image: on the estimates SG does not quite reach")


def test_more_compute_is_called_more() -> None:
    first, _ = words(row(CFG, 1.0, 1.0, 0.001, 1), row(SG, 0.9, 2.0, 0.001, 2), row(SG, 1.9, 0.5, 0.001, 3))
    assert "more GMACs per image" in first
    assert "fewer" not in first


def test_without_cfg_there_is_nothing_to_compare() -> None:
    assert compare_rules(pd.DataFrame([row(SG, 1, 1, 0.1, 1)]), "fashion-routing", ["gmacs_per_image"]) == []


@pytest.mark.parametrize("other", ["fashion-dense", "fashion-masking"])
def test_models_are_never_mixed(other: str) -> None:
    rows = pd.DataFrame([row(CFG, 2.0, 1.0, 0.01, 1), {**row(SG, 1.0, 0.5, 0.01, 2), "model": other}])
    assert compare_rules(with_quality(rows, "fd"), "fashion-routing", ["gmacs_per_image"]) == []
