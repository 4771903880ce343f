"""What may be compared: results of a suite, rows, a cell, or a document of scores."""

from __future__ import annotations

from pathlib import Path

from sgbench.base.bounded import is_there
from sgbench.base.errors import UserError
from sgbench.compare.document import document_source
from sgbench.compare.lines import Source
from sgbench.compare.rows import rows_source
from sgbench.results.find_cell import LONGEST_NAME

FIX = "give results/<suite>, a rows.csv, a cell's folder or id, or a file that `sgbench score IMAGES... --json` wrote"


def open_source(name: str, results: Path) -> Source:
    """The lines of a folder of results, a table of rows, a document, a cell's folder, or a cell's id below `results`.

    Raises UserError for anything else.
    """
    path = Path(name)
    if is_there(path / "cell.json"):
        folder = path.resolve()
        return rows_source(_rows_beside(folder), folder.name)._replace(where=name)
    if is_there(path) and path.is_dir():
        if not (path / "rows.csv").is_file():
            raise UserError("there is no rows.csv in this folder", where=name, fix=FIX)
        return rows_source(path / "rows.csv")._replace(where=name)
    if is_there(path) and path.is_file():
        return rows_source(path) if path.suffix in (".csv", ".parquet") else document_source(path)
    cells = sorted(results.glob(f"*/cells/{name}/cell.json")) if name.isalnum() and len(name) <= LONGEST_NAME else []
    if not cells:
        raise UserError("there is no such file, folder or cell", where=name, fix=FIX)
    # Suites may share a cell, at other numbers of images.
    scored = [card.parent for card in cells if _rows_beside(card.parent).is_file()] or [cells[0].parent]
    if len(scored) > 1:
        suites = " and ".join(folder.parent.parent.name for folder in scored)
        raise UserError(
            f"the cell {name} has rows in {suites}", where=str(results), fix=f"give its folder: {scored[0]}"
        )
    return rows_source(_rows_beside(scored[0]), name)._replace(where=f"cell {name}")


def _rows_beside(cell: Path) -> Path:
    return cell.parent.parent / "rows.csv"
