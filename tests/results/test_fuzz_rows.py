"""Rows of every stored version, garbled: read, compared and reported, or refused in one sentence.

500 tables and 100 reports in ten seeded parts, of which `make test` draws the first.
"""

from __future__ import annotations

import csv
import io
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, seed, settings
from hypothesis import strategies as st

from sgbench.api import load_suite
from sgbench.base.errors import UserError
from sgbench.compare.sources import rows_source
from sgbench.report.answers.summary import in_words
from sgbench.report.select_rows import protocols_of, select_rows
from sgbench.results.rows import read_rows
from sgbench.results.schema import OLDEST, SCHEMA_VERSION
from sgbench.results.store import Store
from sgbench.suite.sweep import expand
from tests.parts import parts

pytestmark = pytest.mark.slow

STORED = Path(__file__).parent / "rows"
ROOT = Path(__file__).parents[2]
PARTS = 10
FUZZ = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
ODD = (
    *(
        "",
        "nan",
        "inf",
        "-inf",
        "x",
        "-1",
        "0",
        "1e999",
        "1e308",
        "9" * 400,
        "None",
        "True",
        '"',
        "a,b",
        "\0",
        "é",
        "=cmd|x",
    ),
    *("2020-01-01", "0.5 x", "1 2 3", "[1]", "../x", "1.5", "cfg", "sg", "99999999999999999999", " ", "\x1b[31m", "{}"),
    *("cosine 0.6 to 0", "cosine x", "fashion-routing", "<b>"),
)
NAMES = ("", "x", "schema", "cell", "fd", "fid", "fd[", "a[b]", "fd[x]", "quality", "samples", "\x1b[0m")
WAYS = (*["cell"] * 6, "column", "drop", "rename", "header", "swap", "lose", "twice", "cut", "bytes", "nul")


def garbled(content: bytes, chance: random.Random) -> bytes:
    """A table with one thing wrong: in a cell, a column, a row, the header, or the bytes."""
    how = chance.choice(WAYS)
    event(how)
    if how == "cut":
        return content[: chance.randrange(len(content) + 1)]
    if how == "nul":
        start = chance.randrange(len(content) + 1)
        return content[:start] + b"\0" * chance.randint(1, 100) + content[start:]
    if how == "bytes":
        changed = bytearray(content)
        for _ in range(chance.randint(1, 5)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        return bytes(changed)
    rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
    column, row = chance.randrange(len(rows[0])), chance.randrange(1, len(rows))
    if how == "cell":
        rows[row][column] = chance.choice(ODD)
    elif how == "column":
        value = chance.choice(ODD)
        rows[1:] = [[*line[:column], value, *line[column + 1 :]] for line in rows[1:]]
    elif how == "drop":
        rows = [line[:column] + line[column + 1 :] for line in rows]
    elif how == "rename":
        rows[0][column] = chance.choice([*NAMES, chance.choice(rows[0])])
    elif how == "header":
        rows.insert(chance.randrange(len(rows)), rows[0])
    elif how == "swap":
        for line in rows:
            line[0], line[column] = line[column], line[0]
    elif how == "lose":
        del rows[row]
    else:
        rows.append(rows[row])
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue().encode()


def several(content: bytes, seed: int) -> bytes:
    chance = random.Random(seed)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        try:
            content = garbled(content, chance)
        except (UnicodeDecodeError, csv.Error, IndexError, ValueError):
            break  # Garbled beyond what this test can take apart.
    return content


def check(error: UserError, name: str) -> None:
    text = str(error)
    assert text.isprintable(), text
    assert name in text


@parts(PARTS)
def test_garbled_rows_of_every_version(part: int, tmp_path: Path, drawn: Callable[[str, int], None]) -> None:
    path = tmp_path / "rows.csv"

    @seed(part)
    @settings(FUZZ, max_examples=50)
    @given(version=st.integers(OLDEST, SCHEMA_VERSION), number=st.integers(0, 2**64))
    def each(version: int, number: int) -> None:
        path.write_bytes(several((STORED / f"schema-{version}.csv").read_bytes(), number))
        for reader in (read_rows, rows_source):
            try:
                reader(path)
                event(f"{reader.__name__}: read")
            except UserError as error:
                check(error, "rows.csv")
                event(f"{reader.__name__}: refused")
        drawn("tables of rows", 1)

    each()


@parts(PARTS)
def test_garbled_rows_in_a_report(part: int, tmp_path: Path, drawn: Callable[[str, int], None]) -> None:
    suite = load_suite(ROOT / "suites/fashion-mnist.yaml")
    cells, committed, folder = expand(suite), ROOT / "results" / suite.suite, tmp_path / suite.suite
    folder.mkdir()
    shutil.copy(committed / "protocols.json", folder)
    whole = (committed / "rows.csv").read_bytes()

    @seed(part)
    @settings(FUZZ, max_examples=10)
    @given(number=st.integers(0, 2**64))
    def each(number: int) -> None:
        (folder / "rows.csv").write_bytes(several(whole, number))
        store = Store(tmp_path, suite.suite)
        try:
            selected = select_rows(suite, cells, store)
            protocols_of(suite, selected.rows, store)
            in_words(selected)
            event("reported")
        except UserError as error:
            check(error, "rows")
            event("refused")
        drawn("reported tables", 1)

    each()


def changed(version: int, **values: str | None) -> bytes:
    """A stored table with some columns of its first row replaced, or dropped where None."""
    rows = list(csv.DictReader(io.StringIO((STORED / f"schema-{version}.csv").read_text())))
    dropped = {name for name, value in values.items() if value is None}
    rows[0] |= {name: value for name, value in values.items() if value is not None}
    written = io.StringIO()
    table = csv.DictWriter(written, [name for name in rows[0] if name not in dropped], extrasaction="ignore")
    table.writeheader()
    table.writerows(rows)
    return written.getvalue().encode()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fd_replicates": "0.5 x"}, "fd of cell .* has no error, replicates or protocol"),
        ({"fd_replicates": "0.5"}, "fd of cell .* has no error, replicates or protocol"),
        ({"fd_replicates": ""}, "fd of cell .* has no error, replicates or protocol"),
        ({"fd_protocol": ""}, "fd of cell .* has no error, replicates or protocol"),
        ({"fd": "x"}, "fd of cell .* is not a number: x"),
        ({"fd": "inf"}, "fd of cell .* is not a number: inf"),
        ({"steps": "1.5"}, "steps of cell .* is not a whole number of at least"),
        ({"samples": "1e999"}, "samples of cell .* is not a whole number of at least"),
        ({"seed": "9" * 400}, "too large"),
        ({"other_devices": "2020-01-01"}, "other_devices of cell .* is not a whole number of at least"),
        ({"gamma_weak": None}, "the rows have no column gamma_weak"),
        ({"prompts": None}, "the rows have no column prompts"),
        ({"model": "\x1b]0;x\x07"}, r"model of a row holds a control character: \\x1b"),
    ],
)
def test_values_that_no_version_writes(values: dict[str, str | None], message: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(changed(SCHEMA_VERSION - 1, **values))
    with pytest.raises(UserError, match=message):
        read_rows(path)
