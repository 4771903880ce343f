"""Environments: one is really made, with a wheel of the test's own, and every way not to have one is one sentence."""

from __future__ import annotations

import json
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from sgbench.base.errors import UserError
from sgbench.metrics.judges.catalogue import JUDGES
from sgbench.metrics.preference import environments
from sgbench.metrics.preference.environments import create_environment, environment, interpreter


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A package `tiny_scorer` 1.0 that needs nothing."""
    path = tmp_path / "tiny_scorer-1.0-py3-none-any.whl"
    info = "tiny_scorer-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_scorer.py", "VERSION = 1")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-scorer\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where environments are, and no network for pip."""
    monkeypatch.setenv("SGBENCH_ENVIRONMENTS", str(tmp_path / "environments"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return tmp_path / "environments"


@pytest.mark.slow
def test_an_environment_is_made_found_and_used(folder: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = replace(JUDGES["hpsv3"], requirements=(str(wheel),))
    monkeypatch.setitem(JUDGES, "hpsv3", tiny)
    with pytest.raises(UserError, match=r"hpsv3 runs in .* is missing; run `sgbench weights environment hpsv3`"):
        environment("hpsv3")
    python = create_environment("hpsv3", folder)
    assert python == folder / "hpsv3" / "bin" / "python" == environment("hpsv3")
    code = "import tiny_scorer, sys; print(tiny_scorer.VERSION, sys.prefix)"
    said = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["1", str(folder / "hpsv3")]
    # Another version of sgbench asks for something else.
    monkeypatch.setitem(JUDGES, "hpsv3", replace(tiny, requirements=("hpsv3==9",)))
    with pytest.raises(UserError, match="was made for other versions"):
        environment("hpsv3")
    # It is made anew in place, and what cannot be had leaves nothing behind.
    with pytest.raises(UserError, match=r"cannot be made \(.*hpsv3==9.*\); fix what it names"):
        create_environment("hpsv3", folder)
    assert not (folder / "hpsv3").exists()


def test_a_folder_of_something_else_is_left_alone(folder: Path) -> None:
    (folder / "hpsv3").mkdir(parents=True)
    (folder / "hpsv3" / "thesis.tex").write_text("ten years")
    with pytest.raises(UserError, match="the folder exists and is not an environment; choose another folder"):
        create_environment("hpsv3", folder)
    assert (folder / "hpsv3" / "thesis.tex").read_text() == "ten years"


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "hpsv3").write_text("")
    with pytest.raises(UserError, match="the folder exists and is not an environment"):
        create_environment("hpsv3", tmp_path)
    assert (tmp_path / "hpsv3").is_file()


@pytest.mark.parametrize("card", ["", "{}", "[]", "null", "{", json.dumps({"requirements": None})])
def test_a_damaged_card_is_no_environment(folder: Path, card: str) -> None:
    (folder / "hpsv3").mkdir(parents=True)
    (folder / "hpsv3" / environments.CARD).write_text(card)
    with pytest.raises(UserError, match="hpsv3 runs in an environment of its own"):
        environment("hpsv3")


def test_an_environment_without_its_python_is_none(folder: Path) -> None:
    (folder / "hpsv3").mkdir(parents=True)
    card = json.dumps({"requirements": list(JUDGES["hpsv3"].requirements)})
    (folder / "hpsv3" / environments.CARD).write_text(card)
    with pytest.raises(UserError, match="has lost its Python"):
        environment("hpsv3")
    interpreter(folder / "hpsv3").parent.mkdir()
    interpreter(folder / "hpsv3").touch()
    assert environment("hpsv3") == interpreter(folder / "hpsv3")


def test_the_folder_is_beside_the_models_unless_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SGBENCH_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("SGBENCH_ENVIRONMENTS", raising=False)
    assert environments.environments_folder() == tmp_path / "models" / "environments"


def test_scorers_that_need_none_say_so(folder: Path) -> None:
    for ask in (lambda: environment("hpsv2"), lambda: create_environment("hpsv2-package", folder)):
        with pytest.raises(UserError, match="needs no environment of its own"):
            ask()
    with pytest.raises(UserError, match="there is no judge 'hpsv4'"):
        environment("hpsv4")
