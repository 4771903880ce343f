"""The lock, protocols and rows of a tree, each compared with what it is made from."""

from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import yaml

from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id
from sgbench.doctor.finding import RUN, SCORE, Finding, note
from sgbench.metrics.protocols import from_record
from sgbench.results.schema import SCHEMA_VERSION
from sgbench.results.store import Store, rows_csv
from sgbench.results.verified_files import read_record, table_problem, verify_record
from sgbench.score.rows import build_rows
from sgbench.suite.schema import suite_class
from sgbench.suite.sweep import expand

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check_lock(store: Store) -> Generator[Finding, None, dict[str, Cell]]:
    """Findings of suite.lock.yaml; the cells of its suite by id are returned, none where they cannot be named."""
    path = store.folder / "suite.lock.yaml"
    if not path.is_file():
        yield Finding(path, "it is missing", RUN)
        return {}
    try:
        content = verify_record(yaml.load(path.read_bytes(), Loader=Loader)).content or {}
        listed = set(content["cells"])
        suite = suite_class().model_validate(content["suite"]).read_from(str(path))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError, RecursionError):
        yield Finding(path, "it is damaged: it does not hold a suite and its cells", RUN)
        return {}
    absent = sorted(listed - store.cell_names())
    if absent:
        what = f"{len(absent)} of its {len(listed)} cells are absent, {absent[0]} the first of them"
        yield Finding(path, what, "`sgbench run` with its suite makes them")
    try:
        cells = {cell_id(cell): cell for cell in expand(suite)}
    except UserError as error:
        yield note(path, f"its cells cannot be named here: {error}", "put its files in place")
        return {}
    return {name: cell for name, cell in cells.items() if name in listed}


def check_protocols(store: Store, cells: dict[str, Cell]) -> Iterator[Finding]:
    """Findings of protocols.json: it holds every protocol that scores name, each under its own id."""
    path = store.folder / "protocols.json"
    named, found = store.scored_protocols(cells.values()), store.read_protocols()
    # A suite without metrics has none.
    if not named and (not path.is_file() or read_record(path).content == {}):
        return
    wrong = [key for key, value in found.items() if not _is_protocol(key, value)]
    missing = sorted(set(named) - set(found))
    if wrong:
        what = f"the protocol {wrong[0]} does not match its id"
    elif missing and found:
        what = f"the protocol {missing[0]}, which scores name, is not in it"
    elif not found:
        what = "it is missing or damaged"
    else:
        return
    sound = {key: value for key, value in found.items() if key not in wrong}
    repair = partial(store.write_protocols, {**sound, **named})
    yield Finding(path, what, "--repair writes it again from the scores", repair)


def _is_protocol(key: str, value: object) -> bool:
    """Whether a protocol is stored under its own id; older versions formed ids differently and are not checked."""
    protocol = from_record(value) if isinstance(value, dict) else None
    return protocol is None or protocol.id == key or protocol.metric == ""


def check_rows(store: Store, cells: dict[str, Cell]) -> Iterator[Finding]:
    """Findings of rows.csv: it is the table that the cells' records give, byte for byte."""
    path = store.folder / "rows.csv"
    ids = list(map(str, _column(path, "cell")))
    order = [*dict.fromkeys(name for name in ids if name in cells), *(name for name in cells if name not in ids)]
    built = build_rows([cells[name] for name in order], store)
    if not path.is_file():
        if len(built):
            yield Finding(path, "it is missing", "--repair builds it from the cells", partial(store.write_rows, built))
        return
    damage = table_problem(path)
    lost = sorted(set(ids) - set(built.get("cell", [])))
    # A damaged table may name cells that never were.
    lost = [name for name in lost if not damage or name in store.cell_names()]
    remedy, repair = "--repair builds it again from the cells", partial(store.write_rows, built)
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        yield Finding(path, f"cell {lost[0]}{more} is in it and has no sound records to build its row from", SCORE)
    elif damage:
        yield Finding(path, damage, remedy, repair)
    elif path.read_bytes() != rows_csv(built):
        version = pd.to_numeric(_column(path, "schema"), errors="coerce").min()
        if version < SCHEMA_VERSION:
            what = f"its rows use schema version {version:g}, and this version writes {SCHEMA_VERSION}"
            yield note(path, what, remedy, repair)
        else:
            yield Finding(path, "its rows are not those that the cells give", remedy, repair)


def _column(path: Path, name: str) -> "pd.Series[str]":
    """A column of the rows as text, in their order; empty where the table cannot be read."""
    try:
        return pd.read_csv(path, usecols=[name], dtype=str)[name]
    except (OSError, ValueError):
        return pd.Series(dtype=str)
