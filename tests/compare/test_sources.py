"""What can be read, and one sentence for all else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sgbench.base.errors import UserError
from sgbench.compare.comparison import compare
from sgbench.compare.sources import open_source
from sgbench.metrics.protocols import from_record

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"
Write = Callable[..., Path]
SCORE = {"value": 1.0, "standard_error": 0.1, "replicates": [1.0, 1.1], "protocol_id": "p", "protocol": {}}


def document(path: Path, *sets: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"reference": "r", "sets": sets}))
    return path


def one_set(images: str = "theirs", **changes: Any) -> dict[str, Any]:
    return {"images": images, "samples": 20, "images_sha256": "0" * 64, "scores": {"fd": SCORE}} | changes


@pytest.fixture(scope="module")
def cell(fashion: pd.DataFrame) -> str:
    """A cell that no other suite has: of the model that was trained densely."""
    return str(fashion.loc[fashion["model"] == "fashion-dense", "cell"].iloc[0])


@pytest.mark.slow
def test_a_cell_by_folder_and_by_id(cell: str) -> None:
    by_folder = open_source(str(RESULTS / "fashion-mnist/cells" / cell), RESULTS)
    by_id = open_source(cell, RESULTS)
    assert by_folder.lines == by_id.lines
    (line,) = by_id.lines
    assert line.cell == cell
    assert line.name == "fashion-dense, unguided (gamma 0, 10 steps)"
    assert len(line.images_sha256) == 64
    assert line.scores["fd"].protocol is not None
    assert line.scores["fd"].protocol.id == line.scores["fd"].protocol_id


def test_an_id_of_two_suites_is_ambiguous(fashion: pd.DataFrame) -> None:
    shared = str(fashion.loc[(fashion["model"] == "fashion-routing") & (fashion["guidance"] == "none"), "cell"].iloc[0])
    with pytest.raises(
        UserError, match=rf"the cell {shared} has rows in .*fashion-gammas and fashion-mnist; give its fol"
    ):
        open_source(shared, RESULTS)


@pytest.mark.slow
def test_rows_of_older_schemas_are_migrated() -> None:
    stored = ROOT / "tests/results/rows"
    old, new = (open_source(str(stored / f"schema-{n}.csv"), RESULTS) for n in (3, 4))
    assert [line.settings for line in old.lines] == [line.settings for line in new.lines]
    with pytest.raises(UserError, match="schema version 1, which is no longer read"):
        open_source(str(stored / "schema-1.csv"), RESULTS)


@pytest.mark.slow
def test_a_document_of_the_scorer(cell: str, tmp_path: Path) -> None:
    """The very document that `sgbench score` prints, of a cell and of somebody's images."""
    from sgbench.score.external_images import Scored

    scores = json.loads((RESULTS / "fashion-mnist/cells" / cell / "scores.json").read_text())["960"]
    fd = {key: value for key, value in scores["fd"].items() if not key.startswith("protocol")}
    protocol = from_record(scores["fd"]["protocol"])
    assert protocol is not None
    ours = Scored("ours", 960, scores["images_sha256"], {"fd": fd}, {"fd": protocol}, cell, 0)
    foreign = Scored("theirs", 960, "f" * 64, {"fd": fd}, {"fd": protocol})
    found = compare(RESULTS / "fashion-mnist", document(tmp_path / "a.json", ours.as_dict()))
    (pair,) = found.pairs
    assert (pair.a.cell, pair.images, pair.same_seed) == (cell, "equal", True)
    assert {f.measure: f.verdict for _, f in found.findings}["fd"] == "same"
    ((pair, finding),) = compare(cell, document(tmp_path / "b.json", foreign.as_dict()), ["fd"], RESULTS).findings
    assert (pair.images, finding.paired) == ("differ", False)


def test_documents_answer_by_the_names_of_their_sets(tmp_path: Path) -> None:
    a = document(tmp_path / "a.json", one_set("x/one"), one_set("x/two"), one_set("three", scores={"later": SCORE}))
    b = document(tmp_path / "b.json", one_set("y/two"), one_set("y/one"))
    found = compare(a, b)
    assert [pair.name for pair in found.pairs] == ["x/one against y/one", "x/two against y/two"]
    assert [line.name for line in found.only_a] == ["three"]
    assert found.a.unknown == ["later"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent.csv", "there is no such file, folder or cell"),
        ("0123456789abcdef", "there is no such file, folder or cell"),
        ("empty", "there is no rows.csv in this folder"),
        ("other.csv", "column `schema` is missing"),
        ("none.csv", "there are no rows"),
        ("odd.csv", "is not a number: much"),
        ("endless.csv", "is not a number: inf"),
        ("bare.csv", "fd of cell CELL has no error, replicates or protocol"),
        ("short.csv", "fd of cell CELL has no error, replicates or protocol"),
        ("twice.csv", "cell CELL (fashion-routing, none) has two rows of"),
        ("text.json", "this is not a document of scores (Invalid JSON"),
        ("list.json", "this is not a document of scores"),
        ("plan.json", "this is not a document of scores (sets: Field required)"),
        ("none.json", "this is not a document of scores (sets: "),
        ("value.json", "this is not a document of scores (sets.0.scores.fd.value: Input should be a valid number)"),
        ("nan.json", "this is not a document of scores (sets.0.scores.fd.value: Input should be a finite number)"),
        ("same.json", "a set of images is listed twice"),
        ("moved", "there are no scored cells"),
    ],
)
def test_bad_input_is_one_sentence(
    fashion: pd.DataFrame, cell: str, tmp_path: Path, write: Write, name: str, said: str
) -> None:
    (tmp_path / "empty").mkdir()
    shutil.copytree(RESULTS / "fashion-mnist/cells" / cell, tmp_path / "moved")
    rows = fashion.head(2)
    write(pd.DataFrame({"a": [1]}), "other.csv")
    write(rows.head(0), "none.csv")
    write(rows.assign(fd="much"), "odd.csv")
    write(rows.assign(fd=float("inf")), "endless.csv")
    write(rows.drop(columns="fd_replicates"), "bare.csv")
    write(rows.assign(fd_replicates="1.0 x"), "short.csv")
    write(pd.concat([rows, rows]), "twice.csv")
    (tmp_path / "text.json").write_text("scores: 3")
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "plan.json").write_text('{"cells": []}')
    document(tmp_path / "none.json")
    for file, value in (("value.json", "1.0"), ("nan.json", float("nan"))):
        document(tmp_path / file, one_set(scores={"fd": SCORE | {"value": value}}))
    document(tmp_path / "same.json", one_set(), one_set())
    asked = name if name.isalnum() and not (tmp_path / name).exists() else str(tmp_path / name)
    with pytest.raises(UserError) as caught:
        open_source(asked, RESULTS)
    assert said.replace("CELL", str(fashion["cell"].iloc[0])) in str(caught.value)
    assert "\n" not in str(caught.value)
