"""What a page says of a model."""

from __future__ import annotations

from typing import NamedTuple

from sgbench.models import catalogue
from sgbench.zoo import weights


class ModelCard(NamedTuple):
    """A model for readers; `parameters` is empty where nobody counted them."""

    name: str
    summary: str
    trained_sparse: bool
    parameters: str
    licence: str
    sha256: str


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
