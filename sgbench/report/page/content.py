"""The content of a page, which is all that `render_page` takes."""

from typing import Any, NamedTuple

import pandas as pd

from sgbench.models import catalogue
from sgbench.report.answers.answer import Section
from sgbench.report.select_rows import Axis
from sgbench.suite.schema import Suite
from sgbench.zoo import weights


class Picture(NamedTuple):
    """An image file of the report: its path, caption and alternative text, its bytes and its size in pixels."""

    file: str
    caption: str
    alt: str
    data: bytes
    media: str
    """image/webp or image/png."""
    width: int
    height: int


class Figure(NamedTuple):
    """A figure of one model, as an SVG file."""

    name: str
    title: str
    caption: str
    model: str
    svg: bytes


class ModelCard(NamedTuple):
    """A model for readers; `parameters` is empty if unknown."""

    name: str
    summary: str
    trained_sparse: bool
    parameters: str
    licence: str
    sha256: str


class Content(NamedTuple):
    """Everything on a page, in its order."""

    suite: Suite
    rows: pd.DataFrame
    """One line per cell, as `select_rows` gives them."""
    axes: list[Axis]
    """Cost axes on which the rows can be compared."""
    metrics: list[str]
    """Metrics of the rows, the metric of quality first; empty for throughput benchmarks."""
    summary: list[str]
    """The answer first."""
    missing: list[str]
    """Sentences about what the suite asked for and the rows lack."""
    sections: list[Section]
    figures: list[Figure]
    strips: list[Picture]
    """The same seeds side by side."""
    cells: dict[str, Picture]
    """By cell id, its first images in order."""
    prompts: list[str]
    """Prompts of the images in a cell's picture; empty for class-conditional models."""
    standings: dict[str, str]
    """By cell id: frontier, tie or dominated, in the first metric and GMACs."""
    models: list[ModelCard]
    protocols: list[str]
    made_by: dict[str, Any]
    """sgbench, commit, dirty, python, torch, suite_sha256, images_made_at, devices; what is unknown is left out."""
    command: str
    files: list[str]
    """Files offered for download, relative to the page."""


def model_card(name: str, sha256: str) -> ModelCard:
    """The card of a packaged model; of another model what is known of its files, with the digest from the rows.

    Raises UserError when there is no such model.
    """
    model = catalogue.entry(name)
    if model.main.kind == "packaged":
        card = weights.card(name)
        facts = (str(card["summary"]), model.trained_sparse, f"{card['parameters']:,}", str(card["licence"]))
        return ModelCard(name, *facts, card["files"]["final"]["sha256"])
    licence = "not stated" if model.public is None else model.public.licence
    return ModelCard(name, f"{model.family.title} ({model.family.source})", model.trained_sparse, "", licence, sha256)
