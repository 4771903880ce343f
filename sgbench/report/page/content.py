"""What a page is made of. `render_page` takes it and nothing else."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd

from sgbench.models import catalogue
from sgbench.report.answers.answer import Section
from sgbench.report.select_rows import Axis
from sgbench.suite.schema import Suite
from sgbench.zoo import weights


class Picture(NamedTuple):
    """An image file of the report: its path beside the page, what it shows, its bytes and its size in pixels."""

    file: str
    caption: str
    alt: str
    data: bytes
    media: str
    """image/webp or image/png."""
    width: int
    height: int


class Figure(NamedTuple):
    """A drawn figure of one model, as an SVG file."""

    name: str
    title: str
    caption: str
    model: str
    svg: bytes


class ModelCard(NamedTuple):
    """A model for readers; `parameters` is empty where nobody counted them."""

    name: str
    summary: str
    trained_sparse: bool
    parameters: str
    licence: str
    sha256: str


class Content(NamedTuple):
    """Everything that a page says, in the order in which it says it."""

    suite: Suite
    rows: pd.DataFrame
    """One line per cell, as `select_rows` gives them."""
    axes: list[Axis]
    """Cost axes on which the rows may stand together."""
    metrics: list[str]
    """Metrics that the rows hold, the one that stands for quality first; empty for work on throughput alone."""
    summary: list[str]
    """The answer first."""
    missing: list[str]
    """What the suite asked for and the rows do not have, in sentences."""
    sections: list[Section]
    figures: list[Figure]
    strips: list[Picture]
    """The same seeds side by side."""
    cells: dict[str, Picture]
    """By cell id, its first images in their order."""
    prompts: list[str]
    """What the places of a cell's picture were asked for; empty for classes."""
    standings: dict[str, str]
    """By cell id: frontier, tie or dominated, in the first metric and GMACs."""
    models: list[ModelCard]
    protocols: list[str]
    made_by: dict[str, Any]
    """sgbench, commit, dirty, python, torch, suite_sha256, images_made_at, devices; what is unknown is left out."""
    command: str
    files: list[str]
    """Files beside the page that are offered for download, relative to it."""


def model_card(name: str, sha256: str) -> ModelCard:
    """Of a packaged model what its card says; of another what is known of its files, with the rows' digest of them.

    Raises UserError when there is no such model.
    """
    model = catalogue.entry(name)
    if model.main.kind == "packaged":
        card = weights.card(name)
        told = (str(card["summary"]), model.trained_sparse, f"{card['parameters']:,}", str(card["licence"]))
        return ModelCard(name, *told, card["files"]["final"]["sha256"])
    licence = "not stated" if model.public is None else model.public.licence
    return ModelCard(name, f"{model.family.title} ({model.family.source})", model.trained_sparse, "", licence, sha256)
