"""Write a report: rows in, files out. The only place that knows which files a report has."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from sgbench.atomic import write_atomic
from sgbench.errors import UserError
from sgbench.progress import Progress
from sgbench.provenance import provenance
from sgbench.report.gallery import choose_pictures
from sgbench.report.headline import HEADLINE, compare_rules, sentences
from sgbench.report.opinions import compare_opinions
from sgbench.report.opinions import sentence as opinion_sentence
from sgbench.report.page import Figures, render_page
from sgbench.report.plots import FORMATS, plot_frontier, plot_precision_recall, render
from sgbench.report.points import Axis, file_names, protocols_of, select_rows, with_quality
from sgbench.report.tables import comparison_table, group_table, readable_table, result_table
from sgbench.report.throughput import throughput_files
from sgbench.run.store import Store
from sgbench.score.metrics import METRICS, TEXT_KINDS, qualities
from sgbench.score.protocols import Protocol
from sgbench.score.t2i.judges import DRAWN
from sgbench.suite.cell import Cell
from sgbench.suite.schema import Suite
from sgbench.zoo import weights

# Kinds of further metrics that get a plot and a sentence of their own; others stand in the tables.
DRAWN_TOO = ("frechet", *TEXT_KINDS)


class Report(NamedTuple):
    """Where the report is and what it says first."""

    page: Path
    sentences: list[str]
    cells: int

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return {"page": str(self.page), "sentences": self.sentences, "cells": self.cells}


def build_report(
    suite: Suite, cells: Sequence[Cell], store: Store, folder: Path, command: str, progress: Progress
) -> Report:
    """Write tables, plots, galleries and index.html into `folder`.

    Raises UserError when rows are absent or of another protocol, or when `folder` cannot be written.
    """
    if not suite.metrics:
        return _throughput_report(suite, cells, store, folder)
    if not qualities(suite.metrics):
        raise UserError(
            "a report draws quality as a distance or as a score of prompts, and the suite asks for none",
            where=f"{suite.where}: metrics",
            fix="add one, such as fd, fid or composition",
        )
    rows = select_rows(suite, cells, store)
    protocols = protocols_of(suite, rows, store)
    models = list(dict.fromkeys(rows["model"]))
    progress.begin("report", len(models) + 2, "part")
    one_device = len(rows[["device", "threads", "batch"]].drop_duplicates()) == 1
    axes: list[Axis] = ["gmacs_per_image", "seconds_per_image"] if one_device else ["gmacs_per_image"]
    comparisons = [c for model in models for c in compare_rules(rows, model, axes)]
    headline = [s for c in comparisons if c.model == models[0] and c.rule == HEADLINE for s in sentences(c)]
    headline += second_answers(rows, models[0], suite.metrics)
    if not headline:
        headline = [f"{models[0]} was not run with both CFG and SG, so there is nothing to compare."]
    others = [s for c in comparisons if (c.model, c.rule) != (models[0], HEADLINE) for s in sentences(c)]
    compared = [o for model in models for o in compare_opinions(rows, model, qualities(suite.metrics))]
    opinions = [opinion_sentence(o) for o in compared]
    files: dict[str, bytes] = {}
    drawn: list[Figures] = []
    for model, name in file_names(models).items():
        suffix = "" if model == models[0] else f"-{name}"
        drawn.append(_draw(rows, model, axes, qualities(suite.metrics), suffix, files))
        progress.advance(1, f"plots of {model}")
    pictures = choose_pictures(rows, cells, store)
    for picture in pictures:
        files[f"gallery/{picture.file}"] = picture.png
    table = readable_table(rows)
    summary = comparison_table(comparisons)
    groups = group_table(rows, suite.metrics)
    files["table.csv"] = result_table(rows).to_csv(index=False, lineterminator="\n").encode()
    files["table.md"] = _markdown(suite, headline, others, opinions, summary, groups, table, protocols)
    files["comparison.csv"] = summary.to_csv(index=False, lineterminator="\n").encode()
    made_by = {**provenance(), "images_made_at": sorted({str(c)[:12] for c in rows["commit"].dropna()})}
    progress.advance(1, "tables and galleries")
    files["index.html"] = render_page(
        suite,
        rows,
        headline,
        others,
        opinions,
        summary,
        groups,
        table,
        drawn,
        pictures,
        protocol_lines(protocols),
        made_by,
        command,
        one_device,
    )
    written = sorted([*files, "report.json"])
    files["report.json"] = (
        json.dumps(
            {"suite": suite.suite, "headline": headline, "others": others, "opinions": opinions, "files": written},
            indent=1,
        )
        + "\n"
    ).encode()
    _write(folder, files)
    progress.advance(1, "page")
    progress.end()
    return Report(folder / "index.html", headline, len(rows))


def _throughput_report(suite: Suite, cells: Sequence[Cell], store: Store, folder: Path) -> Report:
    rows = select_rows(suite, cells, store)
    files, said = throughput_files(suite, rows)
    _write(folder, files)
    return Report(folder / "table.md", said, len(rows))


def _draw(
    rows: pd.DataFrame,
    model: str,
    axes: list[Axis],
    metrics: Sequence[str],
    suffix: str,
    files: dict[str, bytes],
) -> Figures:
    figures = {f"frontier-{axis.split('_')[0]}{suffix}": plot_frontier(rows, model, axis) for axis in axes}
    # Further opinions against what is counted alone: seconds would tell the same.
    for metric in metrics[1:]:
        if METRICS[metric].kind in DRAWN_TOO:
            other = with_quality(rows, metric)
            figures[f"frontier-gmacs-{metric}{suffix}"] = plot_frontier(other, model, "gmacs_per_image")
    if {"precision", "recall"} <= set(rows.columns):
        figures[f"precision-recall{suffix}"] = plot_precision_recall(rows, model)
    svgs = {}
    for name, figure in figures.items():
        for kind in FORMATS:
            files[f"{name}.{kind}"] = render(figure, kind)
        svgs[name] = files[f"{name}.svg"]
    return Figures(model, svgs)


def _markdown(
    suite: Suite,
    headline: list[str],
    others: list[str],
    opinions: list[str],
    summary: pd.DataFrame,
    groups: pd.DataFrame,
    table: pd.DataFrame,
    protocols: dict[str, Protocol],
) -> bytes:
    parts = [
        f"# {suite.title}",
        *(f"- {s}" for s in headline),
        "",
        summary.to_markdown(index=False) if len(summary) else "",
        "",
        *(
            ["## By group of prompts, each rule's best cell", "", groups.to_markdown(index=False), ""]
            if len(groups)
            else []
        ),
        table.to_markdown(index=False),
        "",
        "Errors are one standard error (delete-a-group jackknife; exact for means; by prompt for prompts), "
        "intervals 95 %.",
        "Beside a distance stand its bias-corrected value and what as many real images score.",
        "",
        *(f"- {line}" for line in protocol_lines(protocols)),
        "",
        *(["## Do the metrics agree?", *(f"- {s}" for s in opinions), ""] if opinions else []),
        "",
        "## Other rules against CFG",
        *(f"- {s}" for s in others),
        "",
    ]
    return "\n".join(parts).encode()


def second_answers(rows: pd.DataFrame, model: str, metrics: list[str]) -> list[str]:
    """What the headline rule saves by further metrics: another feature space or judge may answer otherwise."""
    said = []
    for metric in qualities(metrics)[1:]:
        if METRICS[metric].kind in DRAWN_TOO:
            found = compare_rules(with_quality(rows, metric), model, ["gmacs_per_image"])
            said += [sentences(c)[0] for c in found if c.rule == HEADLINE]
    return said


def protocol_lines(protocols: dict[str, Protocol]) -> list[str]:
    """The protocols in words; with the accuracy of the packaged classifier where it judges."""
    lines = [p.describe() for p in protocols.values()]
    if any(p.extractor == "fashion-cnn" for p in protocols.values()):
        accuracy = weights.card("fashion-cnn")["accuracy_held_out"]
        lines.append(f"fashion-cnn: {accuracy:.2%} of the 10,000 held-out images classified right")
    seen = weights.card("drawn-detector")
    if any(p.extractor == DRAWN and p.extractor_sha256 == seen["sha256"] for p in protocols.values()):
        lines.append(
            f"detector of drawn shapes: {seen['accuracy']:.2%} of {seen['objects']:,} objects in {seen['images']:,} "
            "held-out renders found with the right shape, colour and place"
        )
    return lines


def _write(folder: Path, files: dict[str, bytes]) -> None:
    before = _files_before(folder)
    try:
        for name, content in files.items():
            write_atomic(folder / name, content)
        for name in before - set(files):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"the report cannot be written there ({error.strerror})",
            where=str(folder),
            fix="choose another folder with --reports, or mend its permissions",
        ) from error


def _files_before(folder: Path) -> set[str]:
    """The files of the report that stood there, as its report.json lists them; only names inside the folder."""
    try:
        names = json.loads((folder / "report.json").read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {
        name for name in names if isinstance(name, str) and (folder / name).resolve().is_relative_to(folder.resolve())
    }
