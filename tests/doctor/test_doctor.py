"""`sgbench doctor` on this installation and on trees, as a command with its exit status."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from sgbench.base.errors import UserError
from sgbench.doctor.examine import examine, find_trees
from sgbench.doctor.installation import FILE, check_extractors, check_installation
from sgbench.files.digest import require_recorded, sha256_of
from sgbench.metrics.references import catalogue
from sgbench.zoo import weights
from tests import tiny_model, warm

pytestmark = pytest.mark.slow

RESULTS = Path(__file__).parents[2] / "results"


def flip(path: Path) -> None:
    payload = bytearray(path.read_bytes())
    payload[len(payload) // 2] ^= 1
    path.write_bytes(payload)


def doctor(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return warm.run(tiny_model.__file__, "doctor", "--no-installation", *arguments)


def test_this_installation_is_sound(tmp_path: Path) -> None:
    facts: dict[str, str] = {}
    assert [finding for finding in check_installation(tmp_path, facts) if finding.problem] == []
    assert "fashion-cnn within" in facts["extractors on recorded images"]


def test_the_status_and_the_last_line_tell_of_problems(tmp_path: Path) -> None:
    shutil.copytree(RESULTS / "shapes", tmp_path / "deep" / "shapes")
    assert find_trees(tmp_path) == [tmp_path / "deep" / "shapes"]
    clean = doctor("--results", tmp_path, "--json")
    assert clean.returncode == 0, clean.stdout
    scores = sorted(tmp_path.glob("deep/shapes/cells/*/scores.json"))[0]
    scores.write_bytes(scores.read_bytes()[:-20])
    found = doctor("--results", tmp_path, "--json")
    document = json.loads(found.stdout.splitlines()[-1])
    assert found.returncode == 1
    assert str(scores) in [one["where"] for one in document["findings"] if one["problem"]]
    assert document["problems_left"] >= 1
    told = doctor("--results", tmp_path)
    assert f"problem: {scores}: it is damaged: it is not JSON" in told.stdout
    assert "Traceback" not in told.stderr


def test_suites_without_results_are_named() -> None:
    with pytest.raises(UserError, match=r"there are no results of 'nope'; name one of: .*shapes"):
        examine(RESULTS, suites=["nope"], installation=False)


def test_a_flipped_bit_in_packaged_weights_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = Path(shutil.copytree(weights.FOLDER, tmp_path / "weights"))
    monkeypatch.setattr(weights, "FOLDER", copied)
    flip(copied / "shapes-early.safetensors")
    found = [finding for finding in check_installation(tmp_path, {}) if finding.problem]
    named = {finding.where.name: finding for finding in found if finding.where.parent == copied}
    assert list(named) == ["shapes-early.safetensors"]
    assert named["shapes-early.safetensors"].what.startswith("the weight file is corrupt")
    assert named["shapes-early.safetensors"].remedy == "reinstall sgbench"
    with pytest.raises(UserError, match=r"shapes-early\.safetensors: the weight file is corrupt"):
        weights.load_weights("shapes", "early")


def test_a_flipped_bit_in_a_packaged_reference_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = Path(shutil.copytree(catalogue.packaged_folder(), tmp_path / "reference"))
    monkeypatch.setattr(catalogue, "packaged_folder", lambda reference="fashion-mnist": copied)
    part = sorted(copied.glob("*.safetensors"))[0]
    flip(part)
    assert part in [finding.where for finding in check_installation(tmp_path, {}) if finding.problem]


def test_recorded_features_that_differ_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.numpy import load_file, save_file

    changed = {name: array.copy() for name, array in load_file(FILE).items()}
    changed["lite0"] *= 1.01
    save_file(changed, tmp_path / "changed.safetensors")
    monkeypatch.setattr("sgbench.doctor.installation.FILE", tmp_path / "changed.safetensors")
    found = list(check_extractors({}))
    assert len(found) == 1
    assert found[0].what.startswith("the features of lite0 differ from the recorded ones by")


def test_a_file_that_kept_its_time_and_lost_a_bit_is_not_loaded(tmp_path: Path) -> None:
    import os

    path = tmp_path / "model.safetensors"
    path.write_bytes(bytes(range(256)))
    sha256_of(path)
    stamp = path.stat()
    require_recorded(path)
    flip(path)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with pytest.raises(UserError, match=r"model\.safetensors: the file was damaged since its digest was taken"):
        require_recorded(path)
