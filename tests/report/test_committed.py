"""The committed reports are what the committed rows give: each is made again and compared file by file.

Pictures depend on the versions of what draws them, so they are compared where matplotlib and Pillow are those that the
report names; numbers and words always are. What another processor rounds in another way is no difference: see `alike`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import matplotlib as mpl
import PIL
import pytest

from sgbench import api
from sgbench.base.progress import Silent
from sgbench.report import build
from sgbench.report.figures.plotting import FORMATS, render
from sgbench.results.store import Store
from sgbench.suite.sweep import expand
from tests.report.alike import difference, without_library

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = sorted(path.parent.name for path in (ROOT / "results").glob("*/rows.csv"))
# The suite with most kinds of figures; the others wait for `make test-full`.
FIRST = ("fashion-mnist",)
PICTURES = (".png", ".svg", ".pdf", ".webp")
# What a page of an embedded suite may weigh, so that it opens from a mail or over a slow line.
MOST_BYTES = 3_000_000


def record_of(name: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((ROOT / "reports" / name / "report.json").read_text())
    return record


def words_of(page: bytes) -> bytes:
    """A page without figures and pictures."""
    return re.sub(rb"<svg.*?</svg>|data:image/[^\"')]*", b"", page, flags=re.DOTALL)


def test_the_embedded_suites_are_committed() -> None:
    assert {"fashion-mnist", "shapes", "fashion-gammas"} <= set(COMMITTED)


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.full] * (n not in FIRST)) for n in COMMITTED])
@pytest.mark.parametrize("with_pdf", [False, pytest.param(True, marks=pytest.mark.full)])
def test_a_committed_report_is_the_output_of_its_rows(
    with_pdf: bool, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "FORMATS", FORMATS)
    if not with_pdf:
        monkeypatch.setattr(build, "render", lambda figure, kind: b"" if kind == "pdf" else render(figure, kind))
    # Written where pyarrow is, and so not committed.
    monkeypatch.setattr(build, "parquet_bytes", lambda table: None)
    suite, record, there = api.load_suite(ROOT / "suites" / f"{name}.yaml"), record_of(name), ROOT / "reports" / name
    build.build_report(
        suite, expand(suite), Store(ROOT / "results", name), tmp_path, record["command"], Silent(), record["made_by"]
    )
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {str(path.relative_to(there)) for path in there.rglob("*") if path.is_file()}
    drawn_alike = (record["made_by"]["matplotlib"], record["made_by"]["pillow"]) == (mpl.__version__, PIL.__version__)
    changed = {}
    for file in sorted(files):
        old, new = (there / file).read_bytes(), (tmp_path / file).read_bytes()
        if file.endswith(PICTURES) and not (drawn_alike and (with_pdf or not file.endswith(".pdf"))):
            continue
        if file == "index.html":
            old, new = (without_library(page if drawn_alike else words_of(page)) for page in (old, new))
        changed[file] = difference(file, old, new)
    assert {file: what for file, what in changed.items() if what} == {}, "run `make report`"


@pytest.mark.parametrize("name", COMMITTED)
def test_a_committed_report_was_made_from_a_clean_checkout(name: str) -> None:
    made_by = record_of(name)["made_by"]
    assert made_by["commit"]
    assert made_by["dirty"] is False


@pytest.mark.parametrize("name", COMMITTED)
def test_a_committed_page_is_small(name: str) -> None:
    assert (ROOT / "reports" / name / "index.html").stat().st_size < MOST_BYTES


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
@pytest.mark.parametrize("name", COMMITTED)
def test_committed_tables_and_references_compile(name: str, tmp_path: Path) -> None:
    folder = ROOT / "reports" / name
    packages = "".join(rf"\usepackage{{{package}}}" for package in ("booktabs", "longtable"))
    inputs = "".join(rf"\input{{{folder / table}}}" for table in ("table.tex", "table-best.tex"))
    references = rf"\nocite{{*}}\bibliographystyle{{plain}}\bibliography{{{folder / 'references'}}}"
    text = rf"\documentclass{{article}}{packages}\begin{{document}}{inputs}{references}\end{{document}}"
    (tmp_path / "paper.tex").write_text(text)
    latex = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    for command in (latex, ["bibtex", "paper"], latex, latex):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
        assert "Warning--" not in done.stdout
