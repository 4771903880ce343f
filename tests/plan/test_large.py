"""What a stage does for each cell of a large suite, counted; `tests/bench/scale.py` has the seconds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from sgbench import api
from sgbench.cells import program
from sgbench.cells.cell import Cell
from sgbench.cli import app
from sgbench.results import verified_files
from sgbench.results.store import Store
from sgbench.suite.schema import Suite
from sgbench.suite.sweep import expand

SCALES = [round(1 + 0.25 * n, 2) for n in range(1, 41)]


def suite_of(path: Path, sweep: list[dict[str, object]]) -> Suite:
    content = {
        "suite": "large",
        "title": "large",
        "seed": 0,
        "samples": 20,
        "reference": "fashion-mnist",
        "metrics": ["fd"],
        "model": "fashion-routing",
        "sampler": {"name": "euler", "steps": 10},
        "sweep": sweep,
    }
    path.write_text(yaml.safe_dump(content))
    return api.load_suite(path)


def many(path: Path) -> Suite:
    gammas = {"gamma_strong": [0, 0.1, 0.2], "gamma_weak": [0.5, 0.7]}
    return suite_of(path, [{"guidance": ["sg", "cfg+sg"], "scale": SCALES, "steps": [5, 10, 20], **gammas}])


def test_counts_of_calls_are_those_of_the_program(tmp_path: Path) -> None:
    """The shortcut for guidance that never changes gives what walking through every step does."""
    gammas = {"gamma_strong": 0.1, "gamma_weak": [0.7, "cosine 0.5 to 0.8"]}
    sweep: list[dict[str, object]] = [
        {"guidance": "none", "gamma_strong": [0, 0.5], "steps": [1, 7]},
        {"guidance": ["cfg", "apg"], "scale": [1, 1.5, 3], "interval": ["always", "progress 0.2 to 0.6"]},
        {"guidance": "sg", "scale": [1.5, 2], "scale_schedule": ["constant", "power-cosine 4"], **gammas},
        {"guidance": "sg", "scale": [2], "subset": ["bernoulli"], "gamma_strong": 0.1, "gamma_weak": 0.7},
        {"guidance": "cfg-zero", "scale": 2, "zero_steps": [0, 2]},
        {"guidance": "pag", "scale": 1, "perturb_scale": [0, 2], "layers": "2", "perturb_interval": "noise 0.3 to 0.9"},
        {"guidance": "s2", "scale": [1, 2], "perturb_scale": 0.5, "layers": "1-3"},
    ]
    for cell in expand(suite_of(tmp_path / "s.yaml", sweep)):
        counted: Counter[program.Call] = Counter()
        for evaluation in program.program(cell):
            counted.update(evaluation.calls)
        assert dict(program.call_counts(cell)) == counted, cell.describe()


def test_a_sweep_over_scales_is_costed_once_per_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walked = 0
    real = program._evaluation

    def counting(cell: Cell, number: int, moment: object) -> object:
        nonlocal walked
        walked += 1
        return real(cell, number, moment)  # type: ignore[arg-type]

    monkeypatch.setattr(program, "_evaluation", counting)
    program._call_counts.cache_clear()
    plan = api.make_plan(many(tmp_path / "s.yaml"), tmp_path / "none")
    assert len(plan.cells) == 2 * 3 * 2 * 3 * len(SCALES)
    # Rules, pairs of gammas, numbers of steps.
    assert walked == 2 * 6 * 3


@pytest.mark.slow
def test_planning_reads_nothing_of_cells_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    real = verified_files.read_record

    def counting(path: Path) -> verified_files.Verified[dict[str, Any]]:
        read.append(path)
        return real(path)

    monkeypatch.setattr("sgbench.results.verified_files.read_record", counting)
    suite = many(tmp_path / "s.yaml")
    cells = expand(suite)
    api.make_plan(suite, tmp_path)
    assert read == []
    Store(tmp_path, "large").write_cell(cells[7])
    api.make_plan(suite, tmp_path)
    assert len(read) == 1


@pytest.mark.slow
def test_a_long_plan_is_cut_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    many(tmp_path / "s.yaml")
    monkeypatch.setattr("sys.argv", ["sgbench", "plan", str(tmp_path / "s.yaml"), "--results", str(tmp_path)])
    with pytest.raises(SystemExit):
        app.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == app.PLAN_LINES + 3
    assert lines[-2] == "and 440 more cells, which --json lists"
    assert lines[-1].startswith("1440 cells, 28800 images")
