"""The folder for a web page: what is copied, what is replaced as a whole, and what is never touched."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from sgbench.base.errors import UserError
from sgbench.cli.results import publish as command
from sgbench.report.site import build
from sgbench.report.site.build import find_reports, publish

Make = Callable[..., Path]


def files_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_only_listed_files_are_copied(report: Make, tmp_path: Path) -> None:
    folders = [report("b suite"), report("a")]
    (folders[0] / "notes.txt").write_text("private")
    done = publish(folders, tmp_path / "new" / "site")
    found = files_of(tmp_path / "new" / "site")
    own = ["index.html", "frontier-gmacs.png", "gallery/a b.webp", "report.json"]
    assert set(found) == {".nojekyll", "index.html", "site.json", *(f"{n}/{f}" for n in ("b suite", "a") for f in own)}
    assert found["b suite/gallery/a b.webp"] == b"b suite gallery/a b.webp"
    assert (done.reports, done.files, done.written, done.removed) == (2, 11, 11, 0)
    # Nothing of the day or the machine: another folder holds the same bytes.
    publish(folders, tmp_path / "again")
    assert files_of(tmp_path / "again") == found


def test_the_same_again_writes_nothing_and_gone_reports_go(report: Make, tmp_path: Path) -> None:
    a, b = report("a"), report("b")
    output = tmp_path / "site"
    publish([a, b], output)
    before = output.stat()
    assert publish([a, b], output)[3:] == (0, 0)
    # Not the time of the last access, which reading moves on.
    assert (output.stat().st_ino, output.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    (a / "index.html").write_text("changed")
    done = publish([a], output)
    # Its page, the index and the list of files are new; of the other report nothing is left.
    assert (done.written, done.removed) == (3, 4)
    assert not (output / "b").exists()
    assert (output / "a" / "index.html").read_text() == "changed"
    assert {path.name for path in tmp_path.iterdir()} == {"reports", "site"}


def test_a_link_to_the_folder_stays_one(report: Make, tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "site").symlink_to("www")
    assert publish([report("a")], tmp_path / "site").page == tmp_path / "site" / "index.html"
    assert (tmp_path / "site").is_symlink()
    assert (tmp_path / "www" / "a" / "index.html").is_file()


def test_what_others_wrote_is_never_touched(report: Make, tmp_path: Path) -> None:
    output = tmp_path / "site"
    output.mkdir()
    (output / "thesis.txt").write_text("mine")
    # Files are taken for published ones by a manifest of ours alone, whatever they are called.
    for manifest in ("{", '{"files": ["thesis.txt", "site.json"]}', '{"made_by": "sgbench publish", "files": 3}'):
        (output / "site.json").write_text(manifest)
        before = files_of(output)
        with pytest.raises(
            UserError, match=r"contains a file that `sgbench publish` did not write \(site.json\); choose an empty"
        ):
            publish([report("a")], output)
        assert files_of(output) == before
    (output / "thesis.txt").unlink()
    (tmp_path / "precious").write_text("mine")
    listed = {"made_by": "sgbench publish", "files": ["../precious", "site.json", 3, "a\0b"]}
    (output / "site.json").write_text(json.dumps(listed))
    publish([report("a")], output)
    assert (tmp_path / "precious").read_text() == "mine"
    (output / "link").symlink_to(tmp_path)
    with pytest.raises(UserError, match=r"did not write \(link\)"):
        publish([report("a")], output)


def test_a_call_that_fails_leaves_the_old_site(report: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, output = report("a"), tmp_path / "site"
    publish([a], output)
    before = files_of(output)
    (a / "index.html").write_text("changed")

    def failing(number: int, real: Callable[..., None]) -> Callable[..., None]:
        """`real`, of which one call fails."""
        calls = itertools.count(1)

        def call(*arguments: Path) -> None:
            if next(calls) == number:
                raise OSError(28, "No space left on device")
            real(*arguments)

        return call

    # No room for the fifth file; then the new folder cannot take the place of the old one.
    for place, name, number in ((build, "_write", 5), (Path, "rename", 2)):
        with monkeypatch.context() as patched:
            patched.setattr(place, name, failing(number, getattr(place, name)))
            with pytest.raises(UserError, match=r"site: the site cannot be written \(No space left on device\)"):
                publish([a, report("b")], output)
        assert files_of(output) == before
        assert {path.name for path in tmp_path.iterdir()} == {"reports", "site"}
    assert publish([a, report("b")], output).reports == 2


def test_folders_that_cannot_be_published(report: Make, tmp_path: Path) -> None:
    a = report("a")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: not a report: report\.json is missing"):
        publish([a, tmp_path / "empty"], tmp_path / "site")
    shutil.copytree(a, tmp_path / "other" / "a")
    with pytest.raises(UserError, match=r"two reports are called a: .*reports/a is the other"):
        publish([a, tmp_path / "other" / "a"], tmp_path / "site")
    with pytest.raises(UserError, match="cannot be published under this name"):
        publish([report("index.html")], tmp_path / "site")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="the site must be a folder"):
        publish([a], tmp_path / "file")
    with pytest.raises(UserError, match=r"the site cannot be written \(Not a directory\); make room, fix"):
        publish([a], tmp_path / "file" / "below")
    assert publish([a, a], tmp_path / "site").reports == 1


def test_a_file_that_cannot_be_read_is_named(report: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = report("a")

    def meanwhile(entries: object) -> bytes:
        (folder / "frontier-gmacs.png").unlink()
        return b""

    monkeypatch.setattr(build, "render_index", meanwhile)
    with pytest.raises(UserError, match=r"gmacs\.png: the report's file cannot be read \(No such file or directory\)"):
        publish([folder], tmp_path / "site")
    assert {path.name for path in tmp_path.iterdir()} == {"reports"}


def test_reports_are_found_below_a_folder(report: Make, tmp_path: Path) -> None:
    report("b"), report("a"), report("quick/a")
    publish([tmp_path / "reports" / "b"], tmp_path / "reports" / "site")
    assert [p.name for p in find_reports(tmp_path / "reports")] == ["a", "b"]
    for nothing in (tmp_path / "none", tmp_path / "reports" / "quick" / "a" / "gallery"):
        with pytest.raises(UserError, match="there are no reports"):
            find_reports(nothing)


def test_the_command_says_what_it_did(report: Make, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(command)
    report("a")
    arguments = ["--reports", str(tmp_path / "reports"), "--output", str(tmp_path / "site")]
    said = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert json.loads(said.stdout) == {
        "page": str(tmp_path / "site" / "index.html"), "reports": 1, "files": 7, "written": 7, "removed": 0,
    }  # fmt: skip
    again = CliRunner().invoke(app, [str(tmp_path / "reports" / "a"), *arguments], catch_exceptions=False)
    assert again.stdout.endswith("index.html: 1 report, 7 files (0 new or changed, 0 removed)\n")
