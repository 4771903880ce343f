"""Rows of other versions: read, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from sgbench.base.errors import UserError
from sgbench.results.rows import read_rows
from sgbench.results.schema import OLDEST, SCHEMA_VERSION, STEPS, migrate

STORED = Path(__file__).parent / "rows"


@pytest.mark.parametrize("version", range(OLDEST, SCHEMA_VERSION + 1))
def test_stored_rows_of_every_version_are_read(version: int) -> None:
    rows = read_rows(STORED / f"schema-{version}.csv")
    assert len(rows) == 2
    assert set(rows["schema"]) == {SCHEMA_VERSION}
    assert {"prompts", "text_encoder_sha256", "iterations", "auxiliary_iterations"} <= set(rows)
    assert list(rows["prompts"]) == ["", ""]
    # What looks like a number is still a digest.
    assert all(isinstance(value, str) for value in rows["cell"])


def test_parameters_of_version_5_are_read_as_what_they_were() -> None:
    """Values held blanks, as names did not."""
    rows = pd.read_csv(STORED / "schema-5.csv").assign(parameters="")
    given = {"perturb_scale": 3.0, "layers": "3-4", "blur": "inf", "perturb_interval": "noise 0 to 0.7"}
    rows.loc[0, "parameters"] = " ".join(f"{name}={value}" for name, value in given.items())
    found = migrate(rows.assign(churn=[0.0, 40.0]), "rows.csv")
    assert json.loads(str(found["parameters"][0])) == given
    assert found["parameters"][1] == ""
    # Where churn acted was not written down.
    assert found["churn_max"][0] == float("inf")
    assert found["churn_max"].isna()[1]


def test_tables_of_mixed_versions_lose_nothing() -> None:
    """Rows of two files put together, as pandas does it: columns of the newer one have gaps."""
    old = pd.read_csv(STORED / "schema-5.csv").assign(parameters="eta=0.5", churn=[0.0, 40.0])
    new = read_rows(STORED / f"schema-{SCHEMA_VERSION}.csv").assign(parameters='{"eta": 0.25}', churn_max=50.0)
    found = migrate(pd.concat([old, new], ignore_index=True), "rows.csv")
    assert [json.loads(str(text))["eta"] for text in found["parameters"]] == [0.5, 0.5, 0.25, 0.25]
    assert found["churn_max"].tolist()[0] == float("inf")
    assert found["churn_max"].isna().tolist() == [False, True, False, False]
    assert found["churn_max"].tolist()[2:] == [50.0, 50.0]


def test_every_step_between_versions_exists() -> None:
    assert sorted(STEPS) == list(range(OLDEST, SCHEMA_VERSION))


def test_version_1_is_refused_by_name() -> None:
    with pytest.raises(
        UserError, match=r"schema-1\.csv: the rows use schema version 1, which is no longer read; run `sgbench score`"
    ):
        read_rows(STORED / "schema-1.csv")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"schema": SCHEMA_VERSION + 1},
            rf"schema version {SCHEMA_VERSION + 1}, and this version of sgbench reads up to",
        ),
        ({"schema": "x"}, "`schema` of a row is not a whole number"),
        ({"schema": 2.5}, "`schema` of a row is not a whole number"),
        ({"scale": "much"}, "scale of cell .* is not a number of at least 0: much"),
        ({"gmacs_per_image": None}, "a row has no gmacs_per_image"),
        ({"parameters": "eta=0"}, "parameters of cell .* is not a JSON object"),
        ({"parameters": '{"eta": [0]}'}, "parameters of cell .* is not a JSON object"),
        ({"guidance": "cgf"}, "no guidance rule 'cgf' in this version"),
    ],
)
def test_what_cannot_be_read_is_named(change: dict[str, object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    read_rows(STORED / f"schema-{SCHEMA_VERSION}.csv").assign(**change).to_csv(path, index=False)
    with pytest.raises(UserError, match=message):
        read_rows(path)


def test_tables_that_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    with pytest.raises(UserError, match="there are no scored cells"):
        read_rows(path)
    path.write_text("")
    with pytest.raises(UserError, match="this is not a table of rows"):
        read_rows(path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="column `schema` is missing"):
        read_rows(path)
    path.write_text('schema,cell\n3,"x\n')
    with pytest.raises(UserError, match="this is not a table of rows"):
        read_rows(path)
    path.write_bytes(b"\xff\xfe\x00rows")
    with pytest.raises(UserError, match="this is not a table of rows"):
        read_rows(path)
    pd.DataFrame({"schema": []}).to_csv(path, index=False)
    with pytest.raises(UserError, match="there are no rows"):
        read_rows(path)
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"pyarrow|this is not a table of rows"):
        read_rows(tmp_path / "rows.parquet")
