"""Damage of every kind, at random places of every kind of file: it is named, made again, and never used."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sgbench import api
from sgbench.base.atomic import temporary_name
from sgbench.base.errors import UserError
from sgbench.base.progress import Silent
from sgbench.doctor.examine import examine
from sgbench.results.store import Store
from sgbench.suite.schema import Suite
from tests.parts import parts

SUITE = """
suite: s
title: s
seed: 3
samples: 24
reference: fashion-mnist
metrics: [fd, label_agreement]
model: fashion-tiny
sampler: {name: euler, steps: 1}
sweep: [{guidance: none}, {guidance: cfg, scale: [1.5, 2]}]
"""
SMALL = 12
# What is compared to the last bit once everything was made again. The rest holds timings.
KINDS = {
    "shard": "cells/*/shards/*.npy",
    "notes of a shard": "cells/*/shards/*.json",
    "features": "cells/*/features/*/*.npz",
    "notes of features": "cells/*/features/*/*.json",
    "cell": "cells/*/cell.json",
    "cost": "cells/*/cost.json",
    "scores": "cells/*/scores.json",
    "picture": "cells/*/gallery.png",
    "rows": "rows.csv",
    "digest of rows": "rows.csv.sha256",
    "protocols": "protocols.json",
    "lock": "suite.lock.yaml",
}
EXACT = ("shard", "features", "cell", "scores", "picture", "protocols")
TIMED = ("seconds", "images_per_second", "peak_mib", "decode_seconds")
PARTS = 6


class Notices(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="module", autouse=True)
def _small_shards() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in ("results.store", "run.shards"):
            patch.setattr(f"sgbench.{module}.SHARD", SMALL)
        yield


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    path = tmp_path_factory.mktemp("suite") / "s.yaml"
    path.write_text(SUITE)
    return api.load_suite(path)


@pytest.fixture(scope="module")
def whole(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tree that no test changes."""
    results = tmp_path_factory.mktemp("whole")
    complete(suite, results)
    return results


@pytest.fixture
def results(whole: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(whole, tmp_path / "results"))


def complete(suite: Suite, results: Path) -> list[str]:
    """The same commands again; what they said."""
    said = Notices()
    api.run_suite(suite, results, device="cpu", progress=said)
    api.score_suite(suite, results, device="cpu", progress=said)
    return said.lines


def content(results: Path) -> dict[str, Any]:
    """All that does not depend on the clock, by path."""
    folder = results / "s"
    found: dict[str, Any] = {}
    for kind in EXACT:
        for path in folder.glob(KINDS[kind]):
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    rows = Store(results, "s").read_rows()
    found["rows"] = rows[[c for c in rows if not c.startswith(TIMED)]].to_csv(index=False)
    return found


def flip(path: Path, dice: random.Random) -> None:
    payload = bytearray(path.read_bytes())
    payload[dice.randrange(len(payload))] ^= 1 << dice.randrange(8)
    path.write_bytes(payload)


def truncate(path: Path, dice: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: dice.randrange(path.stat().st_size)])


def delete(path: Path, dice: random.Random) -> None:
    path.unlink()


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {"flip": flip, "truncate": truncate, "delete": delete}


@pytest.mark.slow
def test_a_finished_tree_is_clean(whole: Path, suite: Suite) -> None:
    assert examine(whole, installation=False).findings == []
    assert not [line for line in complete(suite, whole) if "damaged" in line]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", DAMAGES)
@parts(PARTS)
def test_damage_is_named_and_made_again(
    part: int, kind: str, damage: str, results: Path, whole: Path, suite: Suite, drawn: Callable[[str, int], None]
) -> None:
    before = content(whole)
    dice = random.Random(f"{kind} {damage} {part}")
    if "features" in kind:
        # Features are read when a score needs them.
        for scores in (results / "s").glob(KINDS["scores"]):
            scores.unlink()
    path = dice.choice(sorted((results / "s").glob(KINDS[kind])))
    sound = path.read_bytes()
    DAMAGES[damage](path, dice)
    while is_harmless(path, sound):
        path.write_bytes(sound)
        DAMAGES[damage](path, dice)
    drawn("damaged files", 1)
    harmed = examine(results, installation=False)
    named = [f for f, _ in harmed.findings if is_of(path, f.where) or path.parent.name in f.what]
    assert named or kind == "digest of rows", path
    if "features" in kind:
        named = [finding for finding in named if finding.repair is not None]
        assert named, path
    said = complete(suite, results)
    if damage != "delete" and path.suffix in (".npy", ".npz", ".png", ".json"):
        assert any("damaged and not used" in line and path.stem in line for line in said), (path, said)
    assert content(results) == before, path
    assert examine(results, installation=False).left == 0, path


def is_of(path: Path, where: Path) -> bool:
    """Whether a finding is about a file: a payload and its notes are one."""
    return where == path or where.with_suffix("") == path.with_suffix("") or path.parent == where


def is_harmless(path: Path, sound: bytes) -> bool:
    """Whether the content is the same for every reader: a bit of a name or of white space that nobody reads."""
    from sgbench.results.verified_files import read_record

    if path.suffix == ".yaml" and path.is_file():
        return examine(path.parents[1], installation=False).left == 0
    if path.suffix != ".json" or not path.is_file():
        return path.is_file() and path.read_bytes() == sound
    harmed = read_record(path).content
    path_sound = path.with_name(".sound.json")
    path_sound.write_bytes(sound)
    expected = read_record(path_sound).content
    path_sound.unlink()
    # A flipped bit in the name of the digest leaves the content as it was, and one key too many.
    return harmed is not None and all(key in harmed and harmed[key] == value for key, value in expected.items())


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*EXACT, "notes of a shard", "cost"])
def test_repair_leaves_what_the_same_commands_make_whole(kind: str, results: Path, whole: Path, suite: Suite) -> None:
    dice = random.Random(kind)
    path = dice.choice(sorted((results / "s").glob(KINDS[kind])))
    truncate(path, dice)
    if kind == "features":
        path.parents[2].joinpath("scores.json").unlink()
    repaired = examine(results, installation=False, repair=True)
    assert any(done for _, done in repaired.findings)
    complete(suite, results)
    assert content(results) == content(whole)
    assert examine(results, installation=False).findings == []


@pytest.mark.parametrize("kind", ["cell", "rows", "protocols"])
def test_what_follows_from_the_rest_is_repaired_at_once(kind: str, results: Path, whole: Path) -> None:
    path = sorted((results / "s").glob(KINDS[kind]))[0]
    sound = path.read_bytes()
    path.write_bytes(sound.replace(b"fashion", b"fashiom"))
    assert examine(results, installation=False).left >= 1
    examine(results, installation=False, repair=True)
    assert path.read_bytes() == sound
    assert examine(results, installation=False).findings == []


def test_rows_that_were_edited_by_hand_are_refused(results: Path, suite: Suite, tmp_path: Path) -> None:
    path = results / "s" / "rows.csv"
    path.write_text(path.read_text().replace("cfg", "cfg ", 1))
    with pytest.raises(UserError, match=r"rows\.csv: the table was changed or damaged .*; run `sgbench score` again"):
        api.report_suite(suite, results, tmp_path / "reports")
    api.score_suite(suite, results, device="cpu")
    assert Store(results, "s").read_rows()["guidance"].isin(["none", "cfg"]).all()


@pytest.mark.slow
def test_a_temporary_file_of_a_dead_writer_is_no_data_and_is_removed(results: Path, whole: Path) -> None:
    import os

    shard = sorted((results / "s").glob(KINDS["shard"]))[0]
    fresh = temporary_name(shard)
    fresh.write_bytes(b"half")
    assert [found.problem for found, _ in examine(results, installation=False).findings] == [False]
    os.utime(fresh, (0, 0))
    assert examine(results, installation=False).left == 1
    assert examine(results, installation=False, repair=True).left == 0
    assert not fresh.exists()
    assert content(results) == content(whole)


@pytest.mark.slow
def test_a_tree_that_was_copied_halfway_is_named_and_completed(results: Path, whole: Path, suite: Suite) -> None:
    cells = sorted((results / "s" / "cells").iterdir())
    shutil.rmtree(cells[2])
    (cells[1] / "scores.json").unlink()
    for path in sorted((cells[1] / "shards").iterdir())[1:]:
        path.unlink()
    found = {str(finding.where): finding.what for finding, _ in examine(results, installation=False).findings}
    assert "1 of its 3 cells are absent" in found[str(results / "s" / "suite.lock.yaml")]
    assert any(str(cells[1]) in where for where in found)
    complete(suite, results)
    assert content(results) == content(whole)
    assert examine(results, installation=False).findings == []


def test_what_cannot_be_made_again_is_never_removed(results: Path) -> None:
    """As in committed results: the images are gone."""
    cell = sorted((results / "s" / "cells").iterdir())[0]
    shutil.rmtree(cell / "shards")
    shutil.rmtree(cell / "features")
    damaged = [cell / name for name in ("scores.json", "cost.json", "gallery.png")]
    for path in damaged:
        truncate(path, random.Random(1))
    diagnosis = examine(results, installation=False, repair=True)
    assert {f.where for f, _ in diagnosis.findings} >= set(damaged)
    assert not [f for f, done in diagnosis.findings if done and f.where in damaged]
    assert all(path.exists() for path in damaged)
    assert diagnosis.left >= len(damaged)


def test_links_that_lead_out_and_files_of_others_are_named_and_left(results: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.npy"
    shard = sorted((results / "s").glob(KINDS["shard"]))[0]
    shard.replace(outside)
    shard.symlink_to(outside)
    (results / "s" / "notes.txt").write_text("mine")
    diagnosis = examine(results, installation=False, repair=True)
    assert [(f.where, f.problem, done) for f, done in diagnosis.findings] == [
        (shard, True, False),
        (results / "s" / "notes.txt", False, False),
    ]
    assert shard.is_symlink()
    assert outside.is_file()


def test_scores_of_other_images_are_named(results: Path, suite: Suite) -> None:
    first, second, *_ = sorted((results / "s" / "cells").iterdir())
    for suffix in (".npy", ".json"):
        shutil.copy(first / "shards" / f"00000{suffix}", second / "shards" / f"00000{suffix}")
    what = [f.what for f, _ in examine(results, installation=False).findings if f.where == second / "scores.json"]
    assert what == ["the scores at 24 images do not match the images on disk"]
