"""Weights of metrics: where they are looked for, what is verified, and that no network is asked."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sgbench.base.errors import UserError
from sgbench.metrics import weights
from sgbench.metrics.extractors import EXTRACTORS
from sgbench.metrics.judges.catalogue import JUDGES
from tests.scoring import expect


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No public weights anywhere."""
    for name in ("SGBENCH_WEIGHTS", "TORCH_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def run(*arguments: str) -> str:
    from typer.testing import CliRunner

    from sgbench.cli.app import app

    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    return done.stdout


def test_every_extractor_and_every_judge_has_an_entry_that_says_everything() -> None:
    instruments = (*EXTRACTORS.values(), *JUDGES.values())
    assert {entry.name for one in instruments for entry in one.weights} == set(weights.known())
    for entry in weights.known().values():
        for file in entry.files:
            assert file.licence
            assert file.source.startswith(("https://", "hf://", "this package", "package "))


def test_packaged_weights_are_as_expected(elsewhere: Path, no_network: None) -> None:
    assert weights.digest("fashion-cnn") == weights.known()["fashion-cnn"].files[0].sha256
    assert weights.digest("lite0") == weights.known()["lite0"].files[0].sha256
    assert [v["name"] for v in json.loads(run("weights", "verify", "--json"))["verified"]] == ["fashion-cnn", "lite0"]


@pytest.mark.parametrize("name", ["inception", "dinov2", "clip", "lpips"])
def test_missing_weights_are_one_sentence(elsewhere: Path, no_network: None, name: str) -> None:
    with pytest.raises(UserError) as caught:
        weights.require(name)
    said = str(caught.value)
    assert said.startswith(f"weights {name}: the weights of {name} are missing (looked for ")
    assert said.endswith(f"run `sgbench weights fetch {name}`.")
    with pytest.raises(UserError, match="are missing"):
        run("weights", "fetch", name, "--offline")


def test_places_are_asked_in_order(elsewhere: Path, any_digest: None, no_network: None) -> None:
    entry = weights.known()["inception"]
    (file,) = entry.files
    places = weights.places("inception", file)
    assert [p.parent.name for p in places] == ["inception", "SGBENCH_WEIGHTS", "checkpoints"]
    for place in reversed(places):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"weights")
        assert weights.find("inception", file) == place
    assert json.loads(run("weights", "fetch", "inception", "--json"))["files"][0]["path"] == str(places[0])


def test_the_hubs_own_cache_is_found(elsewhere: Path, any_digest: None) -> None:
    snapshot = elsewhere / "HF_HUB_CACHE" / "models--timm--vit_large_patch14_clip_336.openai" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (snapshot / "open_clip_model.safetensors").write_bytes(b"weights")
    assert weights.require("clip") == [snapshot / "open_clip_model.safetensors"]


def test_another_file_of_the_right_name_is_refused(elsewhere: Path, no_network: None) -> None:
    path = elsewhere / "SGBENCH_WEIGHTS" / "weights-inception-2015-12-05-6726825d.pth"
    path.parent.mkdir()
    torch.save({"x": torch.zeros(1)}, path)
    with pytest.raises(
        UserError, match=rf"^{path}: the file is not {path.name} \(sha256 [0-9a-f]{{12}}, expected 6726825d\)"
    ):
        weights.require("inception")
    with pytest.raises(UserError, match="expected 6726825d"):
        run("weights", "verify", "inception")


def test_verify_claims_no_more_than_it_knows(elsewhere: Path, any_digest: None) -> None:
    path = elsewhere / "SGBENCH_WEIGHTS" / "dinov2_vitl14_pretrain.pth"
    path.parent.mkdir()
    path.write_bytes(b"anything")
    assert "dinov2: dinov2_vitl14_pretrain.pth, no published digest to compare with, sha256" in run("weights", "verify")


def test_a_byte_that_changed_under_a_kept_time_is_noticed(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib
    import os

    path = elsewhere / "SGBENCH_WEIGHTS" / "weights-inception-2015-12-05-6726825d.pth"
    path.parent.mkdir()
    path.write_bytes(b"right")
    right = hashlib.sha256(b"right").hexdigest()
    expect(monkeypatch, right)
    assert "as expected" in run("weights", "verify", "inception")
    seen = path.stat()
    path.write_bytes(b"wrong")
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    with pytest.raises(UserError, match="the file is damaged"):
        run("weights", "verify", "inception")


def test_the_list_says_where_and_what(elsewhere: Path) -> None:
    text = run("weights", "list")
    assert "dinov2: dinov2_vitl14_pretrain.pth, 1217.6 MB, Apache-2.0, no published sha256" in text
    listed = json.loads(run("weights", "list", "--json"))["weights"]
    assert {e["name"] for e in listed} == set(weights.known())
    assert all(e["found"] is None for e in listed if e["name"] == "dinov2")


def test_unknown_names_are_suggested() -> None:
    with pytest.raises(UserError, match=r"there are no weights 'inceptoin', did you mean 'inception'\?"):
        run("weights", "fetch", "inceptoin")


@pytest.mark.full
def test_importing_and_scoring_offline_asks_no_network(image_folder: object) -> None:
    """In a process of its own: a name server that is asked once fails the test."""
    folders = [str(image_folder(n, seed=i)) for i, n in enumerate(("a", "b"))]  # type: ignore[operator]
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise SystemExit('the network was asked')\n"
        "socket.getaddrinfo = refuse; socket.socket.connect = refuse\n"
        "import open_clip, timm, torch_fidelity, cleanfid.resize, sgbench.cli.app\n"
        f"sys.argv = ['sgbench', 'score', {folders[0]!r}, '--reference', {folders[1]!r}, '--metrics', 'fd_lite0', "
        "'--offline', '--json']\n"
        "sgbench.cli.app.main()\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["sets"][0]["scores"]["fd_lite0"]["value"] > 0
