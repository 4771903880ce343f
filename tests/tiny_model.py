"""`fashion-tiny`: a model for tests of what is around a network.

It draws grey images of 32 pixels, as `fashion-routing` does, from random weights, for a fortieth of the work.

Suites of tests may name it like an embedded model once it is installed in a process: in those of pytest by
`tests/conftest.py`, in others by `python tests/tiny_model.py ARGUMENTS OF SGBENCH...`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from safetensors.torch import save

from sgbench.models import catalogue, embedded
from sgbench.models.embedded import Recipe
from sgbench.networks.denoiser import build
from sgbench.zoo import weights

NAME, LIKE = "fashion-tiny", "fashion-routing"
SEEDS = {"final": 0, "early": 1}


@cache
def _recipe() -> Recipe:
    like = embedded.load_recipe(LIKE)
    architecture = like.architecture.model_copy(update={"hidden_size": 16})
    return like.model_copy(update={"name": NAME, "architecture": architecture})


@cache
def _bytes(checkpoint: str) -> bytes:
    """Weights with every parameter moved: modulation and output start at zero and would hide everything."""
    with torch.random.fork_rng([]):
        torch.manual_seed(SEEDS[checkpoint])
        state = build(_recipe().architecture).state_dict()
        return save({key: (tensor + 0.15 * torch.randn(tensor.shape)).half() for key, tensor in sorted(state.items())})


@cache
def _card() -> dict[str, Any]:
    digests = {name: hashlib.sha256(_bytes(name)).hexdigest() for name in SEEDS}
    files = {name: {"file": f"{NAME}-{name}.safetensors", "sha256": digest} for name, digest in digests.items()}
    return {**weights.card(LIKE), "name": NAME, "files": files}


class _Names(list[str]):
    """The embedded models, among which `fashion-tiny` is found but not listed."""

    def __contains__(self, name: object) -> bool:
        return name == NAME or super().__contains__(name)


def install() -> None:
    """Let `fashion-tiny` be found where embedded models are."""
    names = catalogue.embedded_names

    def for_tiny(own: Callable[..., Any], real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda name, *rest: own(*rest) if name == NAME else real(name, *rest)

    catalogue.embedded_names = lambda: _Names(names())
    embedded.load_recipe = for_tiny(_recipe, embedded.load_recipe)
    weights.card = for_tiny(_card, weights.card)
    weights.verified_bytes = for_tiny(lambda checkpoint="final": _bytes(checkpoint), weights.verified_bytes)


if __name__ == "__main__":
    from sgbench.cli import app

    install()
    app.main()
