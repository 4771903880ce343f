"""Write a report: rows in, files out. The only place that knows which files a report has.

reports/<suite>/
  index.html                  the page, self-contained
  <figure>.png .svg .pdf      every figure
  table.csv table.md table.tex table-best.tex   all cells, and the best of each rule; table.parquet with pyarrow
  comparison.csv              each rule against the baseline
  references.bib              methods, metrics and software used
  gallery/                    pictures side by side; those of cells if they are too many for the page
  report.json                 what the report says, and the files it consists of
"""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import pandas as pd
import PIL

from sgbench.base.atomic import refusal, remove_leftovers, write_atomic
from sgbench.base.errors import UserError
from sgbench.base.printable import printable
from sgbench.base.progress import Progress
from sgbench.base.provenance import provenance
from sgbench.cells.cell import Cell
from sgbench.cells.settings import DIGITS
from sgbench.metrics.catalogue import qualities
from sgbench.metrics.judges.catalogue import DRAWN
from sgbench.metrics.protocols import Protocol
from sgbench.report.answers.summary import Words, in_words, throughput_table
from sgbench.report.citations.citation import bibliography
from sgbench.report.document import markdown
from sgbench.report.figures import draw_figures
from sgbench.report.figures.plotting import FORMATS, render
from sgbench.report.page.content import Content, Figure, model_card
from sgbench.report.page.render import render_page
from sgbench.report.pictures.gallery import nearest_of_cells, pictures_of_cells, prompts_of
from sgbench.report.pictures.image_grids import strips
from sgbench.report.select_rows import Selection, file_names, protocols_of, select_rows, standings_of
from sgbench.report.tables.columns import parquet_bytes, result_table
from sgbench.report.tables.latex import latex_tables
from sgbench.results.store import Store
from sgbench.suite.schema import Suite
from sgbench.zoo import weights

# What a spreadsheet would evaluate; numbers and intervals may begin with a sign.
FORMULA = re.compile(r"\s*(?:[=@]|[+-](?![0-9.]))")


class Report(NamedTuple):
    """Where the report is and what it says first."""

    page: Path
    sentences: list[str]
    missing: list[str]
    cells: int

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return {**self._asdict(), "page": str(self.page)}


def build_report(
    suite: Suite,
    cells: Sequence[Cell],
    store: Store,
    folder: Path,
    command: str,
    progress: Progress,
    made_by: dict[str, Any] | None = None,
) -> Report:
    """Write tables, figures, galleries and index.html into `folder`.

    `made_by` is this version and checkout unless given. Raises UserError when there is nothing to report, when rows are
    of several protocols, or when `folder` cannot be written.
    """
    if suite.metrics and not qualities(suite.metrics):
        raise UserError(
            "a report needs a metric of quality, a distance or a prompt-based score, and the suite has none",
            where=f"{suite.where}: metrics",
            fix="add one, such as fd, fid or composition",
        )
    selected = select_rows(suite, cells, store)
    rows = selected.rows
    protocols = [*protocol_lines(protocols_of(suite, rows, store)), *own_lines(suite)]
    progress.begin("report", 4, "part")
    words = in_words(selected)
    progress.advance(1, "comparisons")
    # File names of figures end in their model's name, apart from those of the first model.
    suffixes = {model: f"-{name}" for model, name in file_names(selected.models).items()} | {selected.models[0]: ""}
    figures = draw_figures(rows, suffixes, selected.axes, selected.metrics)
    files = {f"{one.name}.{kind}": render(one.figure, kind) for one in figures for kind in FORMATS}
    progress.advance(1, "figures")
    files |= _tables(suite, cells, selected, words, protocols)
    progress.advance(1, "tables")
    firsts, nearest = pictures_of_cells(rows, cells, store), nearest_of_cells(rows, cells, store)
    digests = rows.drop_duplicates("model").set_index("model")["checkpoint_sha256"]
    content = Content(
        suite=suite,
        rows=rows,
        axes=selected.axes,
        metrics=selected.metrics,
        summary=words.summary,
        missing=[*selected.missing, *firsts.left_out, *nearest.left_out],
        sections=words.sections,
        figures=[Figure(f.name, f.title, f.caption, f.model, files[f"{f.name}.svg"]) for f in figures],
        strips=[*strips(rows, cells, store), *nearest.pictures.values()],
        cells=firsts.pictures,
        prompts=prompts_of(suite),
        standings=dict(standings_of(rows).items()) if selected.metrics else {},
        models=[model_card(str(name), str(digest)) for name, digest in digests.items()],
        protocols=protocols,
        made_by=made_by or _made_by(suite, rows),
        command=command,
        files=sorted(files),
    )
    page = render_page(content)
    files |= {picture.file: picture.data for picture in [*content.strips, *page.external]}
    files["index.html"] = page.html
    files["report.json"] = _record(content, selected.missing, sorted([*files, "report.json"]))
    _write(folder, files)
    progress.advance(1, "page")
    progress.end()
    return Report(folder / "index.html", words.summary, selected.missing, len(rows))


def _made_by(suite: Suite, rows: pd.DataFrame) -> dict[str, Any]:
    """What made a report and its rows; commits say whether files had been changed since."""
    made = rows[["commit", "dirty"]].dropna(subset="commit").drop_duplicates().itertuples(index=False, name=None)
    return {
        **provenance(),
        "matplotlib": mpl.__version__,
        "pillow": PIL.__version__,
        "suite_sha256": suite_sha256(suite),
        "images_made_at": sorted(
            f"{str(commit)[:12]}{' (files changed since)' if dirty is True else ''}" for commit, dirty in made
        ),
        "devices": sorted({f"{d}, {n} threads" for d, n in zip(rows["device"], rows["threads"], strict=True)}),
    }


def suite_sha256(suite: Suite) -> str:
    """Digest of the resolved suite."""
    return hashlib.sha256(json.dumps(suite.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def _tables(
    suite: Suite, cells: Sequence[Cell], selected: Selection, words: Words, protocols: list[str]
) -> dict[str, bytes]:
    """The tables as csv, Parquet, Markdown and LaTeX, and what they rest on as BibTeX."""
    table = result_table(selected.rows) if selected.metrics else throughput_table(selected.rows)
    files = {"table.csv": _csv(table)}
    parquet = parquet_bytes(table)
    if parquet is not None:
        files["table.parquet"] = parquet
    files |= {s.file: _csv(s.table) for s in words.sections if s.table is not None and s.file}
    if selected.metrics:
        files |= {name: text.encode() for name, text in latex_tables(suite, selected.rows, selected.metrics).items()}
    files["table.md"] = markdown(suite, selected, words, protocols).encode()
    files["references.bib"] = bibliography(suite, cells).encode()
    return files


def _record(content: Content, missing: list[str], files: list[str]) -> bytes:
    """report.json; of what is missing it says what rows lack, not pictures."""
    document = {
        "suite": content.suite.suite,
        "title": content.suite.title,
        "cells": len(content.rows),
        "samples": content.suite.samples,
        "headline": content.summary,
        "missing": missing,
        "sections": [{"title": s.title, "sentences": s.sentences} for s in content.sections],
        "made_by": content.made_by,
        "command": content.command,
        "files": files,
    }
    return (json.dumps(document, indent=1) + "\n").encode()


def own_lines(suite: Suite) -> list[str]:
    """Whose code it is that does not come with sgbench."""
    return [
        f"The {one.what} {one.name} does not come with sgbench: it is {one.reference}, sha256 {one.sha256[:DIGITS]}"
        for one in suite.own
    ]


def protocol_lines(protocols: dict[str, Protocol]) -> list[str]:
    """The protocols in words, with the accuracy of packaged classifiers and detectors that are used."""
    lines = [f"{p.describe()} (protocol {p.id})" for p in protocols.values()]
    if any(p.extractor == "fashion-cnn" for p in protocols.values()):
        accuracy = weights.card("fashion-cnn")["accuracy_held_out"]
        lines.append(f"fashion-cnn: {accuracy:.2%} accuracy on the 10,000 held-out images")
    seen = weights.card("drawn-detector")
    if any(p.extractor == DRAWN and p.extractor_sha256 == seen["sha256"] for p in protocols.values()):
        lines.append(
            f"shape detector: {seen['accuracy']:.2%} of {seen['objects']:,} objects in {seen['images']:,} "
            "held-out renders detected with the right shape, colour and position"
        )
    return lines


def _csv(table: pd.DataFrame) -> bytes:
    """A table as csv; text that a spreadsheet would evaluate gets an apostrophe in front."""
    return table.map(_as_text).to_csv(index=False, lineterminator="\n").encode()


def _as_text(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    plain = printable(value)
    return f"'{plain}" if FORMULA.match(plain) else plain


def _write(folder: Path, files: dict[str, bytes]) -> None:
    before = _files_before(folder)
    try:
        for name, content in files.items():
            write_atomic(folder / name, content)
        for name in before - set(files):
            (folder / name).unlink(missing_ok=True)
        for place in {(folder / name).parent for name in files}:
            remove_leftovers(place)
    except OSError as error:
        fix = "make room, choose another folder with --reports, or fix its permissions"
        raise refusal(error, "the report cannot be written there", where=folder, fix=fix) from error


def _files_before(folder: Path) -> set[str]:
    """The files of an earlier report, as its report.json lists them; only names inside the folder."""
    try:
        names = json.loads((folder / "report.json").read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return set()
    return {
        name for name in names if isinstance(name, str) and (folder / name).resolve().is_relative_to(folder.resolve())
    }
