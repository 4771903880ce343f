"""Finding a cell by its folder or its id."""

from pathlib import Path

from sgbench.base.bounded import is_there
from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.cells.identity import named_cell
from sgbench.results.own_code import recall
from sgbench.results.store import Store
from sgbench.results.verified_files import read_record

LONGEST_NAME = 64


def open_cell(folder: Path) -> tuple[Cell, Store]:
    """The cell in `folder`, and its results tree. Raises UserError for anything else."""
    record = read_record(folder / "cell.json").content
    suite = folder.resolve().parent.parent
    recall(suite)
    cell = named_cell(record, folder.resolve().name)
    if cell is None:
        what = "this is not a cell that this version and these weights can name"
        raise UserError(what, where=str(folder), fix="give a folder of results/<suite>/cells")
    return cell, Store(suite.parent, suite.name)


def find_cell(name: str, results: Path) -> tuple[Cell, Store]:
    """A cell by its folder, or by its id in any suite below `results`. Raises UserError when there is none."""
    if is_there(Path(name) / "cell.json"):
        return open_cell(Path(name))
    found = folders_of_cell(name, results)
    if not found:
        fix = "give an id as `sgbench plan` prints it, or its folder"
        raise UserError(f"there is no cell {name!r}", where=str(results), fix=fix)
    # Suites may share a cell; one that has images is preferred.
    return open_cell(max(found, key=lambda folder: (folder / "shards").is_dir()))


def folders_of_cell(name: str, results: Path) -> list[Path]:
    """The folders of the cell with this id in all suites below `results`."""
    # An id has sixteen digits; nothing else may become part of a pattern or a path.
    if not name.isalnum() or len(name) > LONGEST_NAME:
        return []
    return [path.parent for path in sorted(results.glob(f"*/cells/{name}/cell.json"))]
