"""docs/extending.md is true: its files are what `sgbench new` writes, and they pass what it says they pass."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sgbench import check, load_suite
from sgbench.base.errors import UserError
from sgbench.suite.sweep import expand
from sgbench.suite.templates import OBJECTS, write_templates

pytestmark = pytest.mark.usefixtures("own_code")
PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text()
NAMES = {"rule": "soft_start", "metric": "sharpness", "extractor": "regions", "sampler": "midpoint", "model": "patches"}
MOST_LINES = 40
Command = Callable[..., tuple[int, str, str]]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_has_a_file_of_every_kind() -> None:
    assert NAMES.keys() == OBJECTS.keys()
    assert len(blocks("python")) == len(NAMES)


@pytest.mark.parametrize("kind", OBJECTS)
def test_the_files_of_the_page_are_those_that_new_writes(kind: str, tmp_path: Path) -> None:
    code, _, suite = write_templates(kind, NAMES[kind], tmp_path)
    assert code.read_text() in blocks("python")
    assert len(code.read_text().splitlines()) < MOST_LINES
    written = yaml.safe_load(suite.read_text())
    shown = [yaml.safe_load(block) for block in blocks("yaml") if f"{NAMES[kind]}.py:" in block]
    assert len(shown) == 1
    for key, value in shown[0].items():
        assert value == written[key] or all(entry in written[key] for entry in value), key


@pytest.mark.slow
@pytest.mark.parametrize("kind", OBJECTS)
def test_the_files_keep_every_law(kind: str, tmp_path: Path) -> None:
    code, *_ = write_templates(kind, NAMES[kind], tmp_path)
    verdicts = check(f"{code.name}:{OBJECTS[kind]}", tmp_path)
    assert verdicts
    assert not [str(verdict) for verdict in verdicts if verdict.outcome == "broken"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", OBJECTS)
def test_the_suites_run(kind: str, tmp_path: Path, sgbench: Command) -> None:
    _, _, suite = write_templates(kind, NAMES[kind], tmp_path)
    folders = ("--results", tmp_path / "results", "--reports", tmp_path / "reports")
    status, out, err = sgbench("bench", suite, "--limit", 40, *folders, "--json")
    assert status == 0, err
    done = json.loads(out.splitlines()[-1])
    assert done["run"]["images_made"] == 40 * len(expand(load_suite(suite)))
    assert not done["run"]["failed"]
    # What was read needs no code.
    for file in tmp_path.glob("*.py"):
        file.rename(file.with_suffix(".txt"))
    assert sgbench("doctor", *folders, "--no-installation")[0] == 0


def test_new_tells_what_to_do_next(tmp_path: Path, sgbench: Command) -> None:
    status, out, _ = sgbench("new", "rule", "mine", "--to", tmp_path)
    assert status == 0
    assert f"try: sgbench check {tmp_path}/mine.py:RULE" in out
    assert {path.name for path in tmp_path.iterdir()} == {"mine.py", "test_mine.py", "mine.yaml"}


@pytest.mark.parametrize("name", ["Mine", "a b", "../mine", "1st", "", "a-b", "x" * 101])
def test_names_that_cannot_be_files_and_suites(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a valid name; write small letters"):
        write_templates("rule", name, tmp_path)


def test_no_file_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("")
    with pytest.raises(UserError, match=r"mine\.yaml: the file already exists"):
        write_templates("rule", "mine", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]
