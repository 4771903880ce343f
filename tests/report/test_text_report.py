"""Reports of prompts: higher is better, groups have a table, prompts are escaped, protocols say who judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from sgbench import api
from sgbench.report.answers.headline import compare_rules, comparison_table, sentences
from sgbench.report.answers.prompt_groups import group_table
from sgbench.report.figures import frontier
from sgbench.report.select_rows import best_row, points, standings_of, with_quality
from sgbench.results.store import Store
from sgbench.suite.sweep import expand
from sgbench.zoo.shapes.captions import coloured, several, single
from sgbench.zoo.shapes.scenes import render, sample_scene

CFG, SG = ("cfg", 2.0, 0.0, 0.0), ("sg", 2.0, 0.0, 0.7)


def row(rule: tuple[str, float, float, float], gmacs: float, value: float, error: float, seed: int) -> dict[str, Any]:
    noise = np.random.default_rng(seed).normal(size=20)
    noise = (noise - noise.mean()) / np.sqrt(19 / 20 * ((noise - noise.mean()) ** 2).sum())
    name, scale, strong, weak = rule
    return {
        "cell": f"{seed:016x}", "model": "shapes", "guidance": name, "scale": scale, "steps": 10, "samples": 200,
        "gamma_strong": strong, "gamma_weak": weak, "gmacs_per_image": gmacs, "seconds_per_image": gmacs / 50,
        "composition": value, "composition_se": error,
        "composition_replicates": " ".join(f"{value + error * z:.8g}" for z in noise),
        "composition[colors]": value, "composition[colors]_se": error,
        "composition[counting]": value / 2, "composition[counting]_se": error,
    }  # fmt: skip


def quality(*rows: dict[str, Any]) -> pd.DataFrame:
    return with_quality(pd.DataFrame(rows), "composition")


def words(*rows: dict[str, Any]) -> list[str]:
    (comparison,) = compare_rules(quality(*rows), "shapes", ["gmacs_per_image"])
    return sentences(comparison)


def test_the_best_row_is_the_highest() -> None:
    rows = quality(row(CFG, 1.0, 0.4, 0.01, 1), row(CFG, 3.0, 0.9, 0.01, 2), row(CFG, 2.0, 0.6, 0.01, 3))
    assert best_row(rows)["composition"] == 0.9


def test_a_frontier_rises_with_cost() -> None:
    """The dearer cell of lower score is off it, and points are turned round for what looks for the lowest."""
    rows = quality(row(CFG, 1.0, 0.4, 0.01, 1), row(CFG, 2.0, 0.8, 0.01, 2), row(CFG, 3.0, 0.6, 0.01, 3))
    assert list(standings_of(rows).values())[:2] == ["frontier", "frontier"]
    assert list(standings_of(rows).values())[2] != "frontier"
    assert [p.value for p in points(rows, "gmacs_per_image")] == [-0.4, -0.8, -0.6]


def test_a_higher_score_wins_a_lower_one_loses_and_noise_decides_nothing() -> None:
    cfg = row(CFG, 2.0, 0.6, 0.005, 1)
    won = words(cfg, row(SG, 1.0, 0.3, 0.005, 2), row(SG, 1.6, 0.9, 0.005, 3))
    lost = words(cfg, row(SG, 1.6, 0.3, 0.005, 2))
    drawn = words(row(CFG, 2.0, 0.6, 0.2, 1), row(SG, 1.6, 0.61, 0.2, 2))
    best = "CFG's best composition on shapes (0.600 ± 0.005 at w 2, 10 steps)"
    assert won[0].startswith(f"SG reaches {best} with 35% fewer GMACs per image (95 % interval")
    assert won[1].startswith("Each at its best score, SG (w 2, gamma 0 / 0.7, 10 steps; 80% of CFG's GMACs)")
    assert lost[0] == f"SG does not reach {best} at any setting of this suite, so it saves no GMACs per image."
    assert drawn[0].startswith("No significant difference in GMACs per image: SG reaches")
    verdicts = ((won, "+0.300", "better"), (lost, "-0.300", "worse"), (drawn, "+0.010", "no significant difference"))
    for sentences_of, gap, verdict in verdicts:
        assert f"composition {gap}" in sentences_of[1]
        assert f", {verdict})" in sentences_of[1]


def test_savings_in_the_table_have_the_right_sign() -> None:
    rows = quality(row(CFG, 2.0, 0.6, 0.001, 1), row(SG, 1.0, 0.6, 0.001, 2), row(SG, 3.0, 0.9, 0.001, 3))
    table = comparison_table(compare_rules(rows, "shapes", ["gmacs_per_image"]))
    assert table["composition"].tolist() == ["0.9000 ± 0.0010"]
    assert table["against CFG's best"].iloc[0].startswith("+0.300")


def test_the_axis_says_that_higher_is_better() -> None:
    rows = quality(row(CFG, 2.0, 0.0, 0.0, 1), row(SG, 1.6, 0.9, 0.01, 2))
    (drawn,) = frontier.draw(rows, "shapes", "", "gmacs_per_image")
    (axes,) = drawn.figure.axes
    assert axes.get_ylabel() == "composition (higher is better), N = 200"
    # A score may be 0, which a logarithm has no place for.
    assert axes.get_yscale() == "linear"


def test_groups_stand_in_a_table_of_each_rules_best_cell() -> None:
    rows = pd.DataFrame([row(CFG, 1.0, 0.4, 0.01, 1), row(CFG, 2.0, 0.8, 0.01, 2), row(SG, 1.0, 0.6, 0.01, 3)])
    table = group_table(rows, ["composition"])
    assert table["rule"].tolist() == ["CFG", "SG"]
    assert table["colors"].tolist() == ["0.800 ± 0.010", "0.600 ± 0.010"]
    assert table["counting"].tolist() == ["0.400 ± 0.010", "0.300 ± 0.010"]
    assert group_table(rows, ["hpsv2.1"]).empty


# A whole report: a suite that was run, with renders in the place of what a small model draws


CAPTIONS = [
    single("circle"), single("ring"), several("cross", "two"), several("square", "three"), coloured("star", "red"),
    coloured("heart", "blue"), coloured("square", "red"), coloured("cross", "white"),
]  # fmt: skip
RIGHT = {"none": 0.3, "cfg": 0.5, "sg": 1.0}
SAMPLES = 48


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, suite_base: dict[str, Any]) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("text")
    prompts = folder / "own.jsonl"
    prompts.write_text("\n".join(json.dumps(caption.metadata()) for caption in CAPTIONS))
    sweep = [
        {"guidance": "none"},
        {"guidance": "cfg", "scale": 2},
        {"guidance": "sg", "gamma_strong": 0, "gamma_weak": 0.7, "scale": 2},
    ]
    text = {"model": "shapes", "metrics": ["composition"], "prompts": str(prompts), "samples": SAMPLES, "sweep": sweep}
    content = {**suite_base, **text, "sampler": {"name": "euler", "steps": 1}}
    content.pop("reference")
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    suite = api.load_suite(path)
    api.run_suite(suite, folder / "results", device="cpu")
    store = Store(folder / "results", suite.suite)
    for cell in expand(suite):
        shard = store.read_shard(cell, 0)
        assert shard is not None
        notes = {key: value for key, value in shard.notes.items() if key not in ("sha256", "images")}
        store.write_shard(cell, 0, renders(RIGHT[cell.guidance.rule]), notes)
    api.score_suite(suite, folder / "results", device="cpu")
    return path, folder / "results"


def renders(right: float) -> np.ndarray:
    """Images of which about this share is right; the others show an empty ground."""
    random = np.random.default_rng(0)
    scenes = [sample_scene(random, CAPTIONS[i % len(CAPTIONS)]) for i in range(SAMPLES)]
    images = np.stack([render(scene) for scene in scenes])
    images[random.random(SAMPLES) >= right] = 120
    return images


@pytest.mark.full
@pytest.mark.slow
def test_a_text_suite_is_reported_whole(scored: tuple[Path, Path], tmp_path: Path) -> None:
    path, results = scored
    report = api.report_suite(api.load_suite(path), results, tmp_path, command="sgbench report x")
    folder = tmp_path / "tiny"
    # Eight prompts tell little, and the report says so before the estimates.
    assert report.sentences[0].startswith("No significant difference on shapes: at their best composition, CFG and SG")
    assert "SG reaches CFG's best composition on shapes (" in report.sentences[1]
    assert "against CFG (w 2, 1 steps): composition +0." in report.sentences[-1]
    assert report.missing == []
    rows = Store(results, "tiny").read_rows()
    assert rows["composition"].is_monotonic_increasing
    columns = [c for c in rows if c.startswith("composition[") and not c.endswith("_se")]
    assert columns == [f"composition[{g}]" for g in ("single_object", "counting", "colors", "seen", "held_out")]
    markdown = (folder / "table.md").read_text()
    assert "## By group of prompts" in markdown
    assert "held_out" in (folder / "groups.csv").read_text().splitlines()[0]
    # Who judged, how often that one is right, and what was asked for.
    lines = [line for line in markdown.splitlines() if line.startswith("- ")]
    assert any("judge drawn (" in line and "balanced prompts of own (8 prompts, " in line for line in lines)
    assert any(line.startswith("- shape detector: ") and "held-out renders detected" in line for line in lines)
    text = report.page.read_text()
    assert "By group of prompts" in text
    assert "two crosses" in text
    assert "Real test images" not in text
    assert (folder / "frontier-gmacs.svg").is_file()
    assert not (folder / "precision-recall.svg").exists()
