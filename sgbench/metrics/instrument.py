"""What metrics measure with, as records: extractors, judges, and their weights. No torch, no numpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from sgbench.base.choices import require_choice

if TYPE_CHECKING:
    from pathlib import Path

    import torch

Judged = Literal["composition", "preference"]


class WeightFile(NamedTuple):
    """One published file.

    `source` is an https address, hf://OWNER/NAME/FILE, or `package NAME VERSION`. `sha256` may be a prefix where the
    publisher gives no more (in the file's name); empty where it gives none. A size in round numbers is an estimate.
    """

    file: str
    source: str
    licence: str
    size: int | None = None
    sha256: str = ""


class Weights(NamedTuple):
    """An entry of `sgbench weights`; the first file is the network's own.

    A packaged entry without files is a checkpoint of the zoo, whose card lists the file.
    """

    name: str
    used_by: str
    files: tuple[WeightFile, ...] = ()
    packaged: bool = False


@dataclass(frozen=True)
class Instrument:
    """What extractors and judges have in common."""

    name: str
    title: str
    weights: tuple[Weights, ...]
    inputs: str
    """How uint8 images, and prompts, become the network's input; part of every protocol."""
    gmacs: float
    """Billions of multiply-accumulates per image, for estimates of time."""
    works: tuple[str, ...]
    """What to cite: keys of `report/citations/references.bib`."""


@dataclass(frozen=True, kw_only=True)
class Extractor(Instrument):
    """A network in whose features images are compared."""

    load: Callable[[list[Path], torch.device], Any]
    """The network from its verified weight files."""
    widths: dict[str, int]
    """Width of each output that a metric may use; empty where it compares pairs of images instead."""
    half: bool = False
    """Whether features may be kept in half precision where `halved` finds that no distance moves by 1e-5."""
    batch: int = 32
    """The batch size at which it runs fastest on two cores."""
    channels: int = 3
    """Channels of its input; grey images are repeated to three, colour is never made grey."""
    side: int | None = None
    """The only width and height that it takes; None where it resizes."""


@dataclass(frozen=True, kw_only=True)
class Judge(Instrument):
    """What gives one value, better when higher, to an image and its prompt."""

    judges: Judged = "preference"
    code: str
    """`module:function` below `sgbench.metrics`, which loads it from (judge, weight files, device)."""
    unit: str = ""
    """What its raw values are."""
    factor: float = 1.0
    """What published tables multiply raw values by."""
    rules_sha256: Callable[[], str] | None = None
    """The digest of its rules, for a judge without weights."""
    packages: tuple[str, ...] = ()
    """Optional packages that it imports in this environment."""
    install: str = ""
    """The command that installs them."""
    requirements: tuple[str, ...] = ()
    """What pip installs into an environment of its own; empty where the judge runs in this one."""
    hub: tuple[str, ...] = ()
    """What its own package reads from the Hugging Face cache besides its weights."""

    def __post_init__(self) -> None:
        require_choice(self.judges, Judged, "Judge.judges")
