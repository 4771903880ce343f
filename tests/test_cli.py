"""The commands as a user types them."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import tiny_model, warm

pytestmark = pytest.mark.slow

Write = Callable[..., Path]


def sgbench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return warm.run(tiny_model.__file__, *arguments)


def refused(*arguments: str | Path) -> str:
    done = sgbench(*arguments)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("sgbench: ")
    return lines[0]


def test_bench_from_nothing_and_again(tmp_path: Path, suite_file: Write) -> None:
    folders = ("--results", tmp_path / "results", "--reports", tmp_path / "reports")
    first = sgbench("bench", suite_file(), "--json", *folders)
    assert first.returncode == 0, first.stderr
    document = json.loads(first.stdout.splitlines()[-1])
    assert document["run"]["images_made"] == 60
    assert document["report"]["cells"] == 3
    assert Path(document["report"]["page"]).is_file()
    assert "60/60 images" in first.stderr or "run: done" in first.stderr
    again = sgbench("bench", suite_file(), *folders)
    assert again.returncode == 0
    assert "nothing was left to do: every image and score is kept" in again.stdout
    assert "run: done" in again.stderr
    assert "60 images were already there" in again.stderr


def test_each_verb_ends_with_one_json_document(tmp_path: Path, suite_file: Write) -> None:
    path = suite_file(sweep=[{"guidance": "none", "gamma_strong": [0, 0.5]}])
    results, reports = ("--results", tmp_path / "results"), ("--reports", tmp_path / "reports")
    expected = {
        "validate": "valid",
        "plan": "gmacs_to_do",
        "run": "images_made",
        "score": "rows",
        "report": "page",
    }
    for verb, key in expected.items():
        options = {"validate": (), "report": (*results, *reports)}.get(verb, results)
        done = sgbench(verb, path, "--json", *options)
        assert done.returncode == 0, done.stderr
        assert key in json.loads(done.stdout.splitlines()[-1])


def test_plan_says_what_it_will_cost(suite_file: Write, tmp_path: Path) -> None:
    done = sgbench("plan", suite_file(), "--results", tmp_path)
    assert "3 cells, 60 images (0 kept)" in done.stdout
    for word in ("GMACs", "GFLOPs", "MiB", "minutes"):
        assert word in done.stdout


@pytest.mark.parametrize(
    "code",
    [
        "from sgbench import load_suite, make_plan; make_plan(load_suite('suites/fashion-mnist.yaml'))",
        "import sgbench.cli.app, sgbench.suite.load, sgbench.stats.frontier, sgbench.stats.estimates",
        "import sgbench.report.build, sgbench.score.rows",
    ],
)
def test_suite_plan_stats_and_report_do_without_torch(code: str) -> None:
    check = f"import sys; {code}; sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", check], check=False, cwd=root).returncode == 0


def test_validate_and_plan_load_neither_numpy_nor_pandas() -> None:
    code = (
        "import sys, sgbench.cli.app; from sgbench import load_suite, make_plan; "
        "make_plan(load_suite('suites/fashion-mnist.yaml')); sys.exit(bool({'numpy', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[1]).returncode == 0


def test_faults_are_one_sentence_with_a_status(tmp_path: Path, suite_file: Write) -> None:
    assert "did you mean 'samples'?" in refused("validate", suite_file(smaples=3))
    assert "there is no such suite file" in refused("plan", tmp_path / "absent.yaml")
    for verb in ("validate", "bench"):
        assert "need at least 20 images" in refused(verb, suite_file(), "--limit", "5")
    (tmp_path / "file").write_text("")
    assert "results cannot be written there" in refused("run", suite_file(), "--results", tmp_path / "file")
    assert "there is no device called 'gpu'" in refused("run", suite_file(), "--device", "gpu", "--results", tmp_path)
    assert "run `sgbench score SUITE` first" in refused("report", suite_file(), "--results", tmp_path / "none")
    assert "--help" in refused("run", suite_file(), "--no-such-option")
    assert "--limit" in refused("run", suite_file(), "--limit", "0")


@pytest.mark.parametrize(
    ("is_there", "said"),
    [
        (True, "the weight file is corrupt"),
        pytest.param(False, "the weight file fashion-routing.safetensors is missing", marks=pytest.mark.full),
    ],
)
def test_weights_that_are_damaged_stop_a_run(is_there: bool, said: str, tmp_path: Path, suite_file: Write) -> None:
    """A copy of the package in which one bit of a weight file is flipped, or the file is missing."""
    import shutil

    import sgbench

    suite = suite_file(model="fashion-routing")
    package = tmp_path / "copy" / "sgbench"
    shutil.copytree(Path(sgbench.__file__).parent, package)
    path = package / "zoo" / "weights" / "fashion-routing.safetensors"
    payload = bytearray(path.read_bytes())
    payload[-1] ^= 1
    path.write_bytes(payload)
    if not is_there:
        path.unlink()
    command = [sys.executable, "-m", "sgbench", "run", str(suite), "--results", str(tmp_path / "r")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path / "copy")
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_zoo_lists_and_verifies_what_is_packaged() -> None:
    listed = sgbench("zoo", "list")
    assert listed.returncode == 0
    assert listed.stdout.count("sha256") == 9
    assert "6 cards, every file matches its digest" in sgbench("zoo", "verify").stdout
    assert "choose one of: fashion-dense" in refused("zoo", "train", "fashion-nothing")


def test_every_module_can_be_imported_by_its_name_and_every_verb_called() -> None:
    """No public function has the name of a folder, which `import sgbench.results.store` would then miss."""
    import sgbench

    folders = {entry.name for entry in Path(sgbench.__file__).parent.iterdir() if entry.is_dir()}
    verbs = [name for name, value in vars(sgbench).items() if inspect.isfunction(value)]
    assert {"load_suite", "make_plan", "run_suite", "score_suite", "report_suite", "bench_suite"} <= set(verbs)
    assert not folders & set(verbs)
    code = "import sgbench, sgbench.results.store as store, sgbench.report.build; assert sgbench.results.store is store"
    subprocess.run([sys.executable, "-c", code], check=True)
