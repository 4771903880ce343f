"""The command: statuses, files, the last line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner, Result

from sgbench.base.errors import UserError
from sgbench.cli.results import compare

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FASHION = ROOT / "results/fashion-mnist"
Write = Callable[..., Path]
app = typer.Typer()
app.command()(compare)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def dearer(fashion: pd.DataFrame, write: Write) -> Path:
    """The committed rows, whose first cell takes twice the GMACs."""
    rows = fashion.copy()
    rows.loc[rows.index == 0, "gmacs_per_image"] *= 2
    return write(rows, "dearer.csv")


def test_statuses_of_the_gate(dearer: Path, fashion: pd.DataFrame, write: Write) -> None:
    passed = run(FASHION, FASHION, "--fail-on-regression")
    assert passed.exit_code == 0
    assert passed.stdout.endswith("Passes: nothing is worse.\n")
    assert run(FASHION, dearer).exit_code == 0
    failed = run(FASHION, dearer, "--fail-on-regression")
    assert failed.exit_code == 3
    assert failed.stdout.endswith("Fails: GMACs/image is worse in 1 pair.\n")
    assert run(dearer, FASHION, "--fail-on-regression").exit_code == 0
    assert run(FASHION, write(fashion.head(40)), "--fail-on-regression").exit_code == 3


def test_seconds_of_another_device_fail_the_gate_unless_left_out(fashion: pd.DataFrame, write: Write) -> None:
    elsewhere = write(fashion.assign(device="another"))
    failed = run(FASHION, elsewhere, "--fail-on-regression")
    assert failed.exit_code == 3
    assert "51 values of A cannot be compared (first: s/image: device AMD EPYC against another)" in failed.stdout
    assert run(FASHION, elsewhere, "--fail-on-regression", "--no-seconds").exit_code == 0


def test_the_last_line_is_one_document(dearer: Path) -> None:
    done = run(FASHION, dearer, "--json", "--fail-on-regression", "--metrics", "fd, recall")
    assert done.exit_code == 3
    document = json.loads(done.stdout.splitlines()[-1])
    assert document["pairs"] == 51
    assert document["failures"] == ["GMACs/image is worse in 1 pair"]
    (finding,) = document["findings"]
    assert finding["measure"] == "gmacs_per_image"
    assert finding["change"]["value"] == pytest.approx(finding["a"])
    assert finding["adjusted_p"] is None
    assert len(json.loads(run(FASHION, dearer, "--json", "--all").stdout)["findings"]) > 500


def test_the_table_as_a_file(dearer: Path, tmp_path: Path) -> None:
    done = run(FASHION, dearer, "--output", tmp_path / "deep" / "change.md")
    text = (tmp_path / "deep" / "change.md").read_text()
    assert done.stdout == text
    assert "| fashion-routing, unguided (gamma 0, 10 steps) | GMACs/image | 1.10739 | 2.21479 | +100%" in text
    with pytest.raises(UserError, match="cannot be written there"):
        raise run(FASHION, dearer, "--output", dearer / "x.md").exception or AssertionError


def test_faults_are_user_errors(tmp_path: Path) -> None:
    assert isinstance(run(FASHION, tmp_path / "absent").exception, UserError)
    assert run(FASHION).exit_code == 2


def test_comparing_does_without_torch() -> None:
    code = (
        "import sys; from sgbench.compare.comparison import compare; "
        f"compare({str(FASHION)!r}, {str(FASHION)!r}); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0
    light = "import sys, sgbench.cli.results; sys.exit(bool({'numpy', 'pandas', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", light], check=False, cwd=ROOT).returncode == 0
