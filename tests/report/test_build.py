"""A whole report from a small suite: files, what is said of what is missing, refusals."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from sgbench import api
from sgbench.base.errors import UserError
from sgbench.report.build import suite_sha256
from sgbench.results.schema import SCHEMA_VERSION
from sgbench.results.store import Store

pytestmark = pytest.mark.slow

SWEEP = [
    {"guidance": "none", "gamma_strong": [0, 0.5]},
    {"guidance": "cfg", "scale": [1.5, 2]},
    {"guidance": "sg", "gamma_strong": 0, "gamma_weak": 0.7, "scale": 2},
]
TITLE = "Robert'); <script>alert(1)</script> & co"
FIGURES = {"frontier-gmacs", "frontier-seconds", "precision-recall", "speed-up"}
TABLES = {"table.csv", "table.md", "table.tex", "table-best.tex", "comparison.csv", "budgets.csv", "areas.csv"}


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, suite_base: dict[str, Any]) -> tuple[Path, Path]:

    folder = tmp_path_factory.mktemp("report")
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**suite_base, "title": TITLE, "sweep": SWEEP}))
    suite = api.load_suite(path)
    api.run_suite(suite, folder / "results", device="cpu")
    api.score_suite(suite, folder / "results", device="cpu")
    return path, folder / "results"


def copied(scored: tuple[Path, Path], folder: Path, rows: pd.DataFrame) -> None:
    """The results with other rows, and no pictures, below `folder`."""
    there = Store(folder, "tiny")
    there.write_rows(rows)
    there.write_protocols(Store(scored[1], "tiny").read_protocols())


@pytest.mark.usefixtures("every_format")
def test_report_has_all_its_files(tmp_path: Path, scored: tuple[Path, Path]) -> None:
    path, results = scored
    suite = api.load_suite(path)
    report = api.report_suite(suite, results, tmp_path, command="sgbench bench x")
    folder = tmp_path / "tiny"
    assert report.page == folder / "index.html"
    for name in FIGURES:
        with Image.open(io.BytesIO((folder / f"{name}.png").read_bytes())) as picture:
            assert picture.size[0] > 600
        assert (folder / f"{name}.svg").read_text().startswith("<?xml")
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    table = pd.read_csv(folder / "table.csv")
    assert len(table) == 5
    kinds = {"FD[fashion-cnn]", "FD[fashion-cnn] SE", "FD[fashion-cnn] floor", "standing", "N"}
    assert {"GMACs/image", "GFLOPs/image", *kinds} <= set(table)
    assert (folder / "table.md").read_text().count("| fashion-tiny") > 5
    assert "@" in (folder / "references.bib").read_text()
    pictures = {p.name for p in (folder / "gallery").iterdir()}
    assert pictures == {"rules-fashion-tiny.webp", "gammas-fashion-tiny.webp"}
    assert report.sentences
    assert report.missing == []
    record = json.loads((folder / "report.json").read_text())
    assert record["made_by"]["suite_sha256"] == suite_sha256(suite)
    assert record["command"] == "sgbench bench x"
    there = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert set(record["files"]) == there
    assert there >= TABLES


def test_the_same_rows_give_the_same_files(tmp_path: Path, scored: tuple[Path, Path]) -> None:
    path, results = scored
    for name in ("a", "b"):
        api.report_suite(api.load_suite(path), results, tmp_path / name, command="x")
    files = [sorted((tmp_path / name).rglob("*.*")) for name in ("a", "b")]
    assert len(files[0]) > 12
    assert [p.read_bytes() for p in files[0]] == [p.read_bytes() for p in files[1]]


def test_a_report_replaces_its_files_and_no_other(tmp_path: Path, scored: tuple[Path, Path]) -> None:
    path, results = scored
    suite = api.load_suite(path)
    api.report_suite(suite, results, tmp_path, command="x")
    folder = tmp_path / "tiny"
    (folder / "notes.txt").write_text("mine")
    rows = Store(results, "tiny").read_rows()
    copied(scored, tmp_path / "results", rows.assign(device=["another", *rows["device"][1:]]))
    api.report_suite(suite, tmp_path / "results", tmp_path, command="x")
    assert not (folder / "frontier-seconds.svg").exists()
    assert (folder / "frontier-gmacs.svg").exists()
    assert (folder / "notes.txt").read_text() == "mine"
    assert "seconds" not in (folder / "comparison.csv").read_text().splitlines()[0]


def test_rows_of_another_protocol_are_refused(tmp_path: Path, scored: tuple[Path, Path]) -> None:
    path, results = scored
    suite = api.load_suite(path)
    store = Store(results, "tiny")
    rows = store.read_rows()
    protocols = store.read_protocols()
    own = protocols[rows["fd_protocol"].iloc[0]]
    rows.loc[0, "fd_protocol"] = "0123456789ab"
    other = Store(tmp_path, "tiny")
    other.write_rows(rows)
    other.write_protocols({**protocols, "0123456789ab": {**own, "labels": "random"}})
    with pytest.raises(
        UserError, match=r"FD\[fashion-cnn\] of different protocols is never compared: labels \w+ against"
    ):
        api.report_suite(suite, tmp_path, tmp_path / "reports")
    other.write_protocols(protocols)
    with pytest.raises(UserError, match="fd was scored by an older version; run `sgbench score` again"):
        api.report_suite(suite, tmp_path, tmp_path / "reports")


def test_a_suite_without_scored_cells_is_refused(tmp_path: Path, scored: tuple[Path, Path]) -> None:
    path, results = scored
    suite = api.load_suite(path)
    with pytest.raises(UserError, match="there are no scored cells"):
        api.report_suite(suite, tmp_path, tmp_path / "reports")
    rows = Store(results, "tiny").read_rows()
    copied(scored, tmp_path, rows.assign(samples=7))
    with pytest.raises(UserError, match="none of 5 cells has scores at 20 images; run `sgbench run`"):
        api.report_suite(suite, tmp_path, tmp_path / "reports")
    copied(scored, tmp_path, rows.drop(columns="fd"))
    with pytest.raises(UserError, match="no cell has a score of fd at 20 images; run `sgbench score` first"):
        api.report_suite(suite, tmp_path, tmp_path / "reports")


def test_devices_commits_and_protocols_are_told(tmp_path: Path, scored: tuple[Path, Path]) -> None:
    path, results = scored
    rows = Store(results, "tiny").read_rows()
    made = {"commit": ["a" * 40] * 4 + ["b" * 40], "dirty": [False] * 4 + [True], "device": ["one"] * 4 + ["other"]}
    copied(scored, tmp_path, rows.assign(**made, threads=[2, 2, 2, 2, 1]))
    report = api.report_suite(api.load_suite(path), tmp_path, tmp_path / "reports")
    made_by = json.loads((report.page.parent / "report.json").read_text())["made_by"]
    assert made_by["images_made_at"] == ["a" * 12, f"{'b' * 12} (files changed since)"]
    assert made_by["devices"] == ["one, 2 threads", "other, 1 threads"]
    page = report.page.read_text()
    for told in (*made_by["images_made_at"], *made_by["devices"], f"(protocol {rows['fd_protocol'].iloc[0]})"):
        assert told in page


def test_missing_cells_and_scores_are_told(tmp_path: Path, scored: tuple[Path, Path]) -> None:
    path, results = scored
    rows = Store(results, "tiny").read_rows().iloc[1:].reset_index(drop=True)
    rows.loc[0, [c for c in rows if c.startswith("recall")]] = np.nan
    copied(scored, tmp_path, rows)
    report = api.report_suite(api.load_suite(path), tmp_path, tmp_path / "reports")
    assert report.cells == 4
    assert report.missing == [
        "1 of 5 cells have no scores at 20 images and are not in this report: fashion-tiny none 2 steps. "
        "`sgbench run` and `sgbench score` complete them.",
        "1 of 4 cells have no score of recall: fashion-tiny none gamma=0.5 2 steps. "
        "`sgbench score` adds what is missing.",
    ]
    text = report.page.read_text()
    assert "1 of 5 cells have no scores at 20 images" in text
    assert "1 of 5 cells have no scores" in (tmp_path / "reports" / "tiny" / "table.md").read_text()
    table = pd.read_csv(tmp_path / "reports" / "tiny" / "table.csv")
    assert table["recall"].isna().tolist() == [True, False, False, False]


def test_costs_that_do_not_compare_are_told(tmp_path: Path, scored: tuple[Path, Path]) -> None:
    path, results = scored
    rows = Store(results, "tiny").read_rows()
    joules = [1.0, *[np.nan] * (len(rows) - 1)]
    copied(scored, tmp_path, rows.assign(device=["another", *rows["device"][1:]], joules_per_image=joules))
    report = api.report_suite(api.load_suite(path), tmp_path, tmp_path / "reports")
    seconds, energy = report.missing
    assert seconds.startswith("Seconds are not compared: device differs between cells (another, ")
    assert energy == "Joules are not compared: 4 of 5 cells have none."


def test_a_cell_with_two_rows_is_refused(tmp_path: Path, scored: tuple[Path, Path]) -> None:
    path, results = scored
    rows = Store(results, "tiny").read_rows()
    copied(scored, tmp_path, pd.concat([rows, rows.iloc[:1]]))
    with pytest.raises(UserError, match=r"cell [0-9a-f]{16} \(fashion-.* has two rows of"):
        api.report_suite(api.load_suite(path), tmp_path, tmp_path / "reports")


def test_quality_that_some_cells_lack(tmp_path: Path, scored: tuple[Path, Path]) -> None:
    path, results = scored
    rows = Store(results, "tiny").read_rows()
    rows.loc[rows["guidance"] == "sg", [c for c in rows if c.startswith("fd")]] = np.nan
    copied(scored, tmp_path, rows)
    report = api.report_suite(api.load_suite(path), tmp_path, tmp_path / "reports")
    assert report.cells == 5
    assert len(report.missing) == 1
    assert "no score of FD[fashion-cnn]" in report.missing[0]
    assert report.sentences == [
        "fashion-tiny has scores of FD[fashion-cnn] for unguided and CFG only, so there is no second guided rule "
        "to compare."
    ]


def test_one_rule_alone_is_reported(tmp_path: Path, scored: tuple[Path, Path], suite_base: dict[str, Any]) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump({**suite_base, "sweep": SWEEP[1:2]}))
    report = api.report_suite(api.load_suite(path), scored[1], tmp_path / "reports")
    assert report.sentences == [
        "fashion-tiny has scores of FD[fashion-cnn] for CFG only, so there is nothing to compare it with."
    ]
    assert (tmp_path / "reports" / "tiny" / "frontier-gmacs.svg").is_file()
    path.write_text(yaml.safe_dump({**suite_base, "sweep": [{"guidance": "cfg", "scale": 1.5}]}))
    assert api.report_suite(api.load_suite(path), scored[1], tmp_path / "reports").cells == 1


def test_cells_that_are_all_tied(tmp_path: Path, scored: tuple[Path, Path]) -> None:
    path, results = scored
    rows = Store(results, "tiny").read_rows()
    for column in (c for c in rows if c.startswith("fd") and not c.endswith("_protocol")):
        rows[column] = rows[column].iloc[0]
    copied(scored, tmp_path, rows)
    report = api.report_suite(api.load_suite(path), tmp_path, tmp_path / "reports")
    assert "No significant difference" in report.sentences[0] or "no significant difference" in " ".join(
        report.sentences
    )


def test_rows_of_older_schemas_are_migrated_or_refused(tmp_path: Path, scored: tuple[Path, Path]) -> None:
    path, results = scored
    rows = Store(results, "tiny").read_rows()
    added = ["prompts", "text_encoder_sha256", "iterations", "auxiliary_iterations"]
    copied(scored, tmp_path, rows.drop(columns=added).assign(schema=3))
    assert api.report_suite(api.load_suite(path), tmp_path, tmp_path / "reports").missing == []
    copied(scored, tmp_path, rows.assign(schema=1))
    with pytest.raises(UserError, match="the rows use schema version 1, which is no longer read"):
        api.report_suite(api.load_suite(path), tmp_path, tmp_path / "reports")
    copied(scored, tmp_path, rows.assign(schema=SCHEMA_VERSION + 1))
    with pytest.raises(
        UserError, match=f"the rows use schema version {SCHEMA_VERSION + 1}, and this version of sgbench reads up to"
    ):
        api.report_suite(api.load_suite(path), tmp_path, tmp_path / "reports")


def test_a_suite_without_metrics_has_a_page_of_throughput(tmp_path: Path, suite_base: dict[str, Any]) -> None:
    path = tmp_path / "tiny.yaml"
    content = {key: value for key, value in suite_base.items() if key != "reference"}
    pairs = {"gamma_strong": [0, 0.3, 0.6], "gamma_weak": [0, 0.6]}
    path.write_text(
        yaml.safe_dump(
            {**content, "metrics": [], "samples": 8, "sweep": [{"guidance": "cfg+sg", "scale": 1.5, **pairs}]}
        )
    )
    suite = api.load_suite(path)
    api.run_suite(suite, tmp_path / "results", device="cpu")
    api.score_suite(suite, tmp_path / "results", device="cpu")
    report = api.report_suite(suite, tmp_path / "results", tmp_path / "reports")
    assert report.sentences[0] == "No quality was measured in this suite: it has no metrics."
    assert "times fewer MACs than the first cell of its model" in report.sentences[1]
    folder = tmp_path / "reports" / "tiny"
    assert "Theoretical and measured speed-up" in report.page.read_text()
    assert (folder / "throughput-cfg-sg.svg").is_file()
    assert not (folder / "frontier-gmacs.svg").exists()
    assert {"MAC ratio", "speed-up"} <= set(pd.read_csv(folder / "table.csv"))


def test_a_reports_path_that_is_a_file_is_named(tmp_path: Path, scored: tuple[Path, Path]) -> None:
    path, results = scored
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="the report cannot be written there"):
        api.report_suite(api.load_suite(path), results, tmp_path / "file")
