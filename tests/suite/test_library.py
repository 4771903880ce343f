"""The suites that come with sgbench: named, listed, copied, and taken by name wherever a suite is asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sgbench.api import load_suite
from sgbench.base.errors import UserError
from sgbench.cli.app import app
from sgbench.suite import library
from sgbench.suite.library import locate, suite_names
from sgbench.suite.sweep import expand

SUITES = Path(__file__).parents[2] / "suites"
FILES = {path.relative_to(SUITES).with_suffix("").as_posix(): path for path in SUITES.rglob("*.yaml")}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that commands run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: object) -> str:
    return CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False).stdout


def refused(*arguments: object) -> str:
    with pytest.raises(UserError) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_file_has_a_name_and_those_without_a_folder_come_first() -> None:
    names = suite_names()
    assert sorted(names) == sorted(FILES)
    assert names[-1].startswith("paper/")
    assert "/" not in names[0]


@pytest.mark.parametrize("name", suite_names())
def test_a_name_is_the_suite_of_its_file(name: str) -> None:
    assert load_suite(name) == load_suite(FILES[name])
    assert load_suite(name).where == str(FILES[name])


def test_a_preset_and_a_limit_go_with_a_name() -> None:
    assert load_suite("fashion-mnist", "quick", 40) == load_suite(FILES["fashion-mnist"], "quick", 40)


def test_a_file_goes_before_a_suite_of_its_name(folder: Path) -> None:
    (folder / "shapes").write_text("suite: mine")
    assert locate("shapes") == Path("shapes")
    with pytest.raises(UserError, match=r"^shapes: title: the key is missing"):
        load_suite("shapes")


def test_a_folder_does_not_hide_a_suite_of_its_name(folder: Path) -> None:
    (folder / "shapes").mkdir()
    assert locate("shapes") == FILES["shapes"]


def test_an_installed_package_carries_the_suites_inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "sgbench" / "suites").mkdir(parents=True)
    (folder / "sgbench" / "suites" / "own.yaml").write_text("")
    monkeypatch.setattr(library, "PACKAGE", folder / "sgbench")
    assert suite_names() == ["own"]
    assert locate("own") == folder / "sgbench" / "suites" / "own.yaml"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("fashion-mnits", "fashion-mnist"),
        ("suites/fashion-mnist.yaml", "fashion-mnist"),
        ("figure-4", "paper/figure-4"),
        ("/home/me/suites/paper/table5.yaml", "paper/table5"),
    ],
)
def test_a_missing_file_is_told_with_the_name_that_may_be_meant(given: str, meant: str) -> None:
    assert refused("validate", given) == (
        f"{given}: there is no such suite file, did you mean {meant!r}?; "
        "check the path, or give a name that `sgbench suites list` shows."
    )


@pytest.mark.parametrize("given", ["absent.yaml", "../suites/nothing.yaml", "x", "a\0b.yaml"])
def test_a_missing_file_like_no_name_is_told_without_one(given: str) -> None:
    with pytest.raises(UserError, match="there is no such suite file; check the path"):
        load_suite(given)


@pytest.mark.parametrize("verb", ["validate", "score", "cite"])
def test_verbs_take_a_name(verb: str) -> None:
    options = {"score": ["--explain"]}.get(verb, [])
    by_file = run(verb, FILES["shapes"], *options, "--json")
    assert run(verb, "shapes", *options, "--json") == by_file
    assert by_file


def test_images_go_before_a_suite_of_their_name(folder: Path) -> None:
    (folder / "shapes").mkdir()
    assert "scores of images need metrics" in refused("score", "shapes")
    assert "or a name that `sgbench suites list` shows" in refused("score", "shape")


@pytest.mark.slow
def test_the_list_says_what_each_suite_is() -> None:
    lines = run("suites", "list").splitlines()
    assert [line.split()[0] for line in lines[:-1]] == suite_names()
    suite = load_suite("fashion-mnist")
    line = next(line for line in lines if line.startswith("fashion-mnist "))
    assert line.endswith(f" {len(expand(suite))} cells  {suite.title}")
    listed = {entry["name"]: entry for entry in json.loads(run("suites", "list", "--json"))["suites"]}
    assert list(listed) == suite_names()
    assert listed["fashion-mnist"] == {
        "name": "fashion-mnist",
        "title": suite.title,
        "cells": len(expand(suite)),
        "samples": suite.samples,
        "presets": list(suite.presets),
        "file": str(FILES["fashion-mnist"]),
    }


@pytest.mark.slow
def test_the_list_needs_no_torch() -> None:
    code = "import sys; from sgbench.cli.catalogues import list_suites; list_suites(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.DEVNULL).returncode == 0


def test_a_copy_is_the_file_itself(folder: Path) -> None:
    assert run("suites", "copy", "fashion-mnist").startswith(
        "fashion-mnist.yaml: `sgbench bench ./fashion-mnist.yaml` runs it"
    )
    assert (folder / "fashion-mnist.yaml").read_bytes() == FILES["fashion-mnist"].read_bytes()
    assert run("validate", "./fashion-mnist.yaml").startswith("fashion-mnist.yaml is valid")


def test_a_copy_may_go_to_another_folder(folder: Path) -> None:
    told = run("suites", "copy", "paper/figure-4", "--to", "my own")
    assert "`sgbench bench 'my own/figure-4.yaml'` runs it" in told
    assert (folder / "my own" / "figure-4.yaml").read_bytes() == FILES["paper/figure-4"].read_bytes()
    document = json.loads(run("suites", "copy", "shapes", "--to", "my own", "--json"))
    assert document == {"name": "shapes", "file": "my own/shapes.yaml"}


def test_a_copy_takes_no_other_files_place(folder: Path) -> None:
    path = folder / "shapes.yaml"
    path.write_text("mine")
    said = "shapes.yaml: the file already exists; move it away, or give another folder with --to."
    assert refused("suites", "copy", "shapes") == said
    assert path.read_text() == "mine"
    path.unlink()
    path.symlink_to(folder / "nowhere")
    assert refused("suites", "copy", "shapes") == said


def test_a_copy_that_cannot_be_written_or_has_no_source(folder: Path) -> None:
    (folder / "file").write_text("")
    assert "file/shapes.yaml: the suite cannot be copied there (" in refused("suites", "copy", "shapes", "--to", "file")
    assert refused("suites", "copy", "fashion-mnits") == (
        "NAME: there is no suite 'fashion-mnits', did you mean 'fashion-mnist'?; choose one of `sgbench suites list`."
    )
    assert "there is no suite '../suites/shapes', did you mean 'shapes'?" in refused(
        "suites", "copy", "../suites/shapes"
    )
    assert [path.name for path in folder.iterdir()] == ["file"]
