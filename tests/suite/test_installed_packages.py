"""Rules of installed packages, through the entry-point group: found, listed, hashed; a name belongs to one thing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.own_models import MODEL
from tests.own_models import SUITE as OF_A_MODEL

RULE = """
from sgbench.guidance.branches import Branch, Rule
from .formula import half

RULE = Rule("{name}", weak=Branch(condition="null"), combine=half)
"""
HALF = """
def half(predictions, step):
    return (predictions["strong"] + predictions["weak"]) / 2
"""
SUITE = """
suite: s
title: s
seed: 0
samples: 20
metrics: []
model: fashion-routing
sampler: {name: euler, steps: 2}
sweep: [{guidance: soft, scale: 1.5}]
"""


def install(folder: Path, package: str, name: str, text: str = RULE, thing: str = "RULE") -> None:
    """What pip leaves behind: a package and the description of its distribution."""
    (folder / package).mkdir(parents=True)
    (folder / package / "__init__.py").write_text("")
    (folder / package / "rule.py").write_text(text.replace("{name}", name))
    (folder / package / "formula.py").write_text(HALF)
    about = folder / f"{package}-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text(f"[sgbench]\n{name} = {package}.rule:{thing}\n")


def sgbench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH"), str(Path.cwd())])])
    command = [sys.executable, "-m", "sgbench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path})


def test_suites_name_the_rules_of_packages(tmp_path: Path) -> None:
    install(tmp_path, "softguide", "soft")
    # What is built in keeps its name.
    install(tmp_path, "otherguide", "cfg")
    suite = tmp_path / "s.yaml"
    suite.write_text(SUITE)
    listed = sgbench(tmp_path, "guidance", "list", "--json")
    cards = {card["name"]: card for card in json.loads(listed.stdout.splitlines()[-1])["rules"]}
    assert cards["soft"]["from"] == "softguide 1.2"
    assert cards["cfg"]["from"] == "sgbench"

    def cell() -> str:
        done = sgbench(tmp_path, "plan", str(suite), "--results", str(tmp_path / "r"), "--json")
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout.splitlines()[-1])["per_cell"][0]["cell"])

    before = cell()
    assert cell() == before
    (tmp_path / "softguide" / "formula.py").write_text(HALF.replace("/ 2", "/ 3"))
    assert cell() != before


@pytest.mark.parametrize(
    ("other", "text", "what"),
    [
        ("soft", RULE, r"softguide 1.2 is called soft, which is the name of a guidance rule of moreguide 1.2"),
        ("hard", "import nowhere_at_all", "moreguide 1.2 fails on import (ModuleNotFoundError"),
        ("hard", "RULE = 1", "moreguide 1.2 offers an object of class int"),
    ],
)
def test_packages_that_cannot_be_used(other: str, text: str, what: str, tmp_path: Path) -> None:
    install(tmp_path, "softguide", "soft")
    install(tmp_path, "moreguide", other, text)
    done = sgbench(tmp_path, "guidance", "list")
    assert done.returncode == 1
    assert what in done.stderr
    assert "Traceback" not in done.stderr


def test_suites_name_the_models_of_packages(tmp_path: Path) -> None:
    install(tmp_path, "softnet", "Model", MODEL, "Model")
    suite = tmp_path / "s.yaml"
    model = {"custom": "Model", "options": {"depth": 1}, "weights": "random"}
    suite.write_text(yaml.safe_dump({**OF_A_MODEL, "model": model, "samples": 2}))
    listed = json.loads(sgbench(tmp_path, "models", "list", "--json").stdout)
    assert listed["installed"] == {"Model": "softnet 1.2"}
    folders = ("--results", str(tmp_path / "r"), "--reports", str(tmp_path / "p"))
    for command in ("bench", "report"):
        done = sgbench(tmp_path, command, str(suite), *folders)
        assert done.returncode == 0, done.stderr
    rows = (tmp_path / "r" / "mine" / "rows.csv").read_text()
    assert "mine(depth=1) weights=random" in rows
    assert "softnet 1.2: Model(depth=1)" in (tmp_path / "p" / "mine" / "table.md").read_text()
    suite.write_text(suite.read_text().replace("custom: Model", "custom: Modle"))
    done = sgbench(tmp_path, "validate", str(suite))
    assert "no installed package offers a model 'Modle', did you mean 'Model'?" in done.stderr
