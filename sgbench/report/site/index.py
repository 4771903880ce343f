"""The index over published reports: what each says of itself, a plot of it, and its files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from sgbench.base.errors import UserError
from sgbench.base.printable import printable, steers

RECORD, PAGE = "report.json", "index.html"
FRONTIER, DRAWN = "frontier", (".png", ".svg")
OFFERED = {
    "table.csv": "CSV",
    "table.parquet": "Parquet",
    "table.md": "Markdown",
    "table.tex": "LaTeX",
    "references.bib": "BibTeX",
    RECORD: "JSON",
}
"""Files that the index links to, and what it calls them."""
# Bytes of a file's name.
LONGEST_PART = 255
AGAIN = "write it again with `sgbench report SUITE`"


class Entry(NamedTuple):
    """A report on the index: its folder's name, what it says of itself, its files, and one of them to look at."""

    name: str
    title: str
    headline: list[str]
    missing: list[str]
    facts: str
    thumbnail: str | None
    files: list[str]

    @property
    def address(self) -> str:
        """The page of the report, relative to the index."""
        return self._below(PAGE)

    @property
    def picture(self) -> str | None:
        """The thumbnail, relative to the index."""
        return None if self.thumbnail is None else self._below(self.thumbnail)

    @property
    def alt(self) -> str:
        """The thumbnail in words."""
        frontier = self.thumbnail is not None and self.thumbnail.startswith(FRONTIER)
        return f"{'Quality against compute' if frontier else 'A figure'}: {self.title}"

    @property
    def offered(self) -> dict[str, str]:
        """Addresses of files, relative to the index, by what they are called."""
        return {called: self._below(file) for file, called in OFFERED.items() if file in self.files}

    def _below(self, file: str) -> str:
        return quote(f"{self.name}/{file}")


def read_entry(folder: Path) -> Entry:
    """Read a report's report.json. Raises UserError for a folder that is not a complete report."""
    path = folder / RECORD
    try:
        record = json.loads(path.read_text("utf-8"))
        files = record["files"]
        headline = [printable(str(sentence)) for sentence in record["headline"]]
        missing = [printable(str(sentence)) for sentence in record.get("missing", ())]
        title = printable(str(record.get("title") or record["suite"]))
    except OSError as error:
        raise UserError(f"not a report: {RECORD} is missing", where=str(folder), fix=AGAIN) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{RECORD} is damaged", where=str(path), fix=AGAIN) from error
    if not isinstance(files, list) or not all(isinstance(name, str) and is_inside(folder, name) for name in files):
        raise UserError(f"{RECORD} lists files outside of the report", where=str(path), fix=AGAIN)
    absent = [name for name in files if not (folder / name).is_file()]
    if absent or PAGE not in files:
        raise UserError(f"the report has no {(absent or [PAGE])[0]}", where=str(folder), fix=AGAIN)
    return Entry(folder.name, title, headline, missing, _facts(record), _thumbnail(files), sorted(set(files)))


def render_index(entries: Sequence[Entry]) -> bytes:
    """The index as UTF-8; everything that reports say is escaped. It has the looks of their pages."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    own = resources.files("sgbench.report")
    template = environment.from_string((own / "site" / "site.html.j2").read_text("utf-8"))
    style = (own / "page" / "page.css").read_text("utf-8")
    return template.render(entries=entries, style=Markup(style)).encode()


def is_inside(folder: Path, name: str) -> bool:
    """Whether a name leads to a file below the folder, links followed."""
    plain = not any(map(steers, name)) and max(len(part.encode()) for part in name.split("/")) <= LONGEST_PART
    inside = plain and ".." not in Path(name).parts
    return inside and (folder / name).resolve().is_relative_to(folder.resolve())


def _facts(record: dict[str, Any]) -> str:
    """How many cells and images, as far as the report says."""
    cells, images = record.get("cells"), record.get("samples")
    counted = [f"{cells:,} {'cell' if cells == 1 else 'cells'}"] if isinstance(cells, int) else []
    return ", ".join([*counted, *([f"{images:,} images each"] if isinstance(images, int) else [])])


def _thumbnail(files: Sequence[str]) -> str | None:
    """A frontier where there is one, else another figure.

    The shortest name is that of the first model by the first metric; png comes before svg.
    """
    figures = [name for name in files if name.endswith(DRAWN) and "/" not in name]
    return min(figures, key=lambda name: (not name.startswith(FRONTIER), len(name), name), default=None)
