"""Faults of one cell: it stops, says where and why, and leaves the others alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from sgbench import api
from sgbench.base.errors import CellError, UserError
from sgbench.base.progress import Silent
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id
from sgbench.guidance.settings import Guidance
from sgbench.results.faults import Failure, sentences
from sgbench.results.schema import SCHEMA_VERSION
from sgbench.results.store import Store
from sgbench.run import worker as part_module
from sgbench.run.runner import run_cells
from sgbench.samplers.settings import Sampler
from sgbench.sampling.engine import sample
from sgbench.sampling.networks import Networks, load_networks

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
CFG = Cell("fashion-tiny", Guidance("cfg", 1.5, 0.0, 0.0), Sampler("euler", 3), 3, "balanced", "float32")
SG = CFG._replace(guidance=Guidance("sg", 2.0, 0.0, 0.7))
# A float32 ends at 3.4e38: no mock is needed for a scale that is too large.
HUGE = CFG._replace(guidance=Guidance("cfg", 3e38, 0.0, 0.0))


def run(root: Path, cells: list[Cell]) -> tuple[Any, Store]:
    store = Store(root, "s")
    return run_cells(cells, 20, store, CPU, Silent()), store


def test_the_others_go_on(tmp_path: Path) -> None:
    done, store = run(tmp_path, [CFG, HUGE, SG])
    assert (done.images_made, done.images_kept) == (40, 0)
    (failure,) = done.failed
    assert failure.cell == cell_id(HUGE)
    record = store.read_record(HUGE, "failure")
    assert record is not None
    assert record["reason"] == failure.reason
    assert record["steps"] == 3
    assert record["step"] in (1, 2, 3)
    assert f"in step {record['step']} of 3 ({record['branch']})" in record["reason"]
    assert (record["rule"], record["settings"]) == ("cfg", HUGE.describe())
    assert record["shard"] == 0
    assert record["device"]["type"] == "cpu"
    assert {"sgbench", "commit"} <= set(record)
    assert store.read_record(HUGE, "cost") is None
    assert store.read_record(CFG, "failure") is None


def _poison(networks: Networks, step: int, weak: bool) -> None:
    """Let the network's output be infinite in the evaluation of a step, for one branch; both share its batch."""
    calls = 0
    real = networks.main.forward

    def forward(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        found = real(*arguments, **named)
        if calls == step:
            half = len(found) // 2
            found[half:] = torch.where(torch.tensor(weak), torch.inf, found[half:])
            found[:half] = torch.where(torch.tensor(weak), found[:half], torch.inf)
        calls += 1
        return found

    networks.main.forward = forward  # type: ignore[method-assign]


@pytest.mark.parametrize("step", [0, 2])
@pytest.mark.parametrize("weak", [False, True])
def test_step_and_branch_are_those_of_the_first_that_is_not_finite(step: int, weak: bool) -> None:
    networks = load_networks(CFG, False, CPU)
    _poison(networks, step, weak)
    slot = "weak" if weak else "strong"
    with pytest.raises(CellError, match=rf"not finite in step {step + 1} of 3 \({slot} branch\)") as caught:
        sample(CFG, networks, [0], CPU)
    assert (caught.value.step, caught.value.branch) == (step + 1, f"{slot} branch")
    assert caught.value.where == CFG.describe()


def test_the_same_command_tries_again_and_forgets_the_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def poisoned(*arguments: Any) -> Networks:
        networks = load_networks(*arguments)
        networks.main.final_layer.linear.bias.fill_(float("nan"))
        return networks

    monkeypatch.setattr(part_module, "load_networks", poisoned)
    done, store = run(tmp_path, [CFG])
    assert len(done.failed) == 1
    monkeypatch.undo()
    done, store = run(tmp_path, [CFG])
    assert not done.failed
    assert done.images_made == 20
    assert store.read_record(CFG, "failure") is None
    assert run(tmp_path, [CFG])[0].images_made == 0


def test_what_was_finished_before_the_fault_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def poisoned(*arguments: Any) -> Networks:
        networks = load_networks(*arguments)
        # The warm-up and the first batch of 24 take three evaluations each.
        _poison(networks, 7, weak=False)
        return networks

    monkeypatch.setattr(part_module, "load_networks", poisoned)
    store = Store(tmp_path, "s")
    done = run_cells([CFG], 60, store, CPU, Silent())
    assert (done.images_made, done.images_kept, len(done.failed)) == (24, 0, 1)
    monkeypatch.undo()
    done = run_cells([CFG], 60, store, CPU, Silent())
    assert (done.images_made, done.images_kept) == (36, 24)


SWEEP = [{"guidance": "none"}, {"guidance": "cfg", "scale": [1.5, 3e38]}]


def test_rows_and_report_tell_of_it(tmp_path: Path, suite_file: Callable[..., Path]) -> None:
    suite = api.load_suite(suite_file(sweep=SWEEP))
    results, reports = tmp_path / "results", tmp_path / "reports"
    done = api.bench_suite(suite, results, reports, device="cpu")
    assert [failure["settings"] for failure in done["run"]["failed"]] == ["fashion-tiny cfg w=3e+38 2 steps"]
    assert done["score"]["scored"] == 2
    rows = Store(results, "tiny").read_rows()
    assert set(rows["schema"]) == {SCHEMA_VERSION}
    (row,) = rows[rows["failed"] != ""].to_dict("records")
    assert "is not finite in step" in row["failed"]
    assert row["scale"] == 3e38
    assert row["samples"] == 20
    assert row["checkpoint_sha256"]
    assert pd.isna(row["fd"])
    assert pd.isna(row["gmacs_per_image"])
    # A gap beside them does not turn whole numbers into fractions.
    text = pd.read_csv(results / "tiny" / "rows.csv", dtype=str)
    assert set(text["batch"].dropna()) == {"24"}
    assert list(text.columns).index("failed") < list(text.columns).index("fd")
    assert done["report"]["cells"] == 2
    (said,) = done["report"]["missing"]
    assert said.startswith(
        "1 of 3 cells failed and are not in this report: fashion-tiny cfg w=3e+38 2 steps (the denoiser"
    )
    table = (reports / "tiny" / "table.md").read_text()
    assert "is not finite in step" in table
    assert "24.0" not in table


def test_a_tree_in_which_all_cells_failed(tmp_path: Path, suite_file: Callable[..., Path]) -> None:
    suite = api.load_suite(suite_file(sweep=[{"guidance": "cfg", "scale": 3e38}]))
    assert len(api.run_suite(suite, tmp_path, device="cpu").failed) == 1
    assert api.score_suite(suite, tmp_path, device="cpu").as_dict()["scored"] == 0
    with pytest.raises(UserError, match="none of 1 cells has scores at 20 images, since 1 failed: the denoiser's"):
        api.report_suite(suite, tmp_path, tmp_path / "reports")


def test_the_command_ends_with_status_1_after_all_others(processes: Any, tmp_path: Path) -> None:
    suite = processes.suite(24, "[1.5, 3.0e+38]")
    suite.write_text(suite.read_text().replace("steps: 1", "steps: 2"))
    process = processes.start("plain", "run", suite, "--json", "--results", tmp_path / "r")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    document = json.loads(out.splitlines()[-1])
    assert document["images_made"] == 48
    assert [failure["settings"] for failure in document["failed"]] == ["fashion-tiny cfg w=3e+38 2 steps"]
    last = err.splitlines()[-1]
    assert last.startswith("sgbench: fashion-tiny cfg w=3e+38 2 steps: the denoiser's prediction is not finite")
    assert "Traceback" not in err


def test_few_failures_are_told_in_full_and_the_rest_counted() -> None:
    failed = [Failure(str(number), f"cell {number}", "it broke", "mend it") for number in range(5)]
    assert sentences(failed) == [
        "cell 0: it broke; mend it.",
        "cell 1: it broke; mend it.",
        "cell 2: it broke; mend it.",
        "and 2 more cells failed; the rows say why.",
    ]
    assert sentences([]) == []
