"""`sgbench weights` for judges of prompts: what is listed, and environments of scorers that need their own."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sgbench.base.errors import UserError
from sgbench.cli.app import app
from sgbench.metrics.judges.catalogue import JUDGES


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No weights or environments anywhere, and no network for pip."""
    for name in ("SGBENCH_WEIGHTS", "TORCH_HOME", "HF_HUB_CACHE", "SGBENCH_ENVIRONMENTS"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return tmp_path


def run(*arguments: str) -> str:
    return CliRunner().invoke(app, ["weights", *arguments], catch_exceptions=False).stdout


def refused(*arguments: str) -> str:
    with pytest.raises(UserError) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_weights_of_every_judge_are_listed_with_their_metrics() -> None:
    listed = {e["name"]: e for e in json.loads(run("list", "--json"))["weights"]}
    users = {name: e["used_by"] for name, e in listed.items()}
    assert users["mask2former"] == "geneval"
    assert users["clip-vit-l14"] == "geneval, clipscore"
    assert users["hpsv2.1"] == "hpsv2.1, hpsv2-package"
    assert {"hpsv2", "pickscore", "imagereward", "hpsv3"} <= users.keys()
    for name in users.keys() - {"fashion-cnn", "lite0"}:
        assert listed[name]["licence"]
        assert listed[name]["found"] is None


@pytest.mark.parametrize(
    "name", ["mask2former", "clip-vit-l14", "hpsv2", "hpsv2.1", "pickscore", "imagereward", "hpsv3"]
)
def test_missing_weights_are_one_sentence_offline(name: str) -> None:
    said = refused("fetch", name, "--offline")
    assert said.startswith(f"weights {name}: the weights of {name} are missing (looked for ")
    assert said.endswith(f"run `sgbench weights fetch {name}`.")


def test_a_judges_file_is_found_in_the_projects_folder_and_the_hubs_cache(elsewhere: Path) -> None:
    snapshot = elsewhere / "HF_HUB_CACHE" / "models--xswu--HPSv2" / "snapshots" / "0123"
    for place in (snapshot, elsewhere / "SGBENCH_WEIGHTS", elsewhere / "SGBENCH_WEIGHTS" / "hpsv2.1"):
        place.mkdir(parents=True, exist_ok=True)
        (place / "HPS_v2.1_compressed.pt").write_bytes(b"weights")
        (found,) = json.loads(run("fetch", "hpsv2.1", "--json").splitlines()[-1])["files"]
        assert found["path"] == str(place / "HPS_v2.1_compressed.pt")


@pytest.mark.slow
def test_an_environment_is_made_and_what_else_is_needed_is_said(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = elsewhere / "tiny_scorer-1.0-py3-none-any.whl"
    info = "tiny_scorer-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_scorer.py", "")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-scorer\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setitem(JUDGES, "imagereward", replace(JUDGES["imagereward"], requirements=(str(wheel),)))
    lines = run("environment", "imagereward").splitlines()
    python = elsewhere / "SGBENCH_ENVIRONMENTS" / "imagereward" / "bin" / "python"
    assert lines[0] == f"imagereward: {python}"
    assert python.exists()
    assert lines[1].endswith("run `hf download bert-base-uncased` before scoring")


@pytest.mark.slow
def test_an_environment_that_cannot_be_had_is_one_sentence(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(JUDGES, "hpsv3", replace(JUDGES["hpsv3"], requirements=("no-such-package-of-sgbench==9",)))
    said = refused("environment", "hpsv3")
    assert "the environment cannot be made (" in said
    assert "no-such-package-of-sgbench==9" in said
    assert not (elsewhere / "SGBENCH_ENVIRONMENTS" / "hpsv3").exists()


def test_scorers_without_an_environment_say_so() -> None:
    assert "hpsv2 needs no environment of its own; score with it as it is" in refused("environment", "hpsv2")
    assert "there is no judge 'hpsv33', did you mean 'hpsv3'?" in refused("environment", "hpsv33")
