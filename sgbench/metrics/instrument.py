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
Range = Literal["uint8", "0..255", "0..1", "-1..1", "imagenet"]
SCALED: dict[Range, str] = {
    "uint8": "uint8",
    "0..255": "0 to 255",
    "0..1": "x / 255",
    "-1..1": "x / 127.5 - 1",
    "imagenet": "x / 255, ImageNet mean and deviation",
}
"""How ranges are said in a protocol."""


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
    title: str = ""
    weights: tuple[Weights, ...] = ()
    inputs: str = ""
    """How uint8 images, and prompts, become the network's input; part of every protocol."""
    gmacs: float = 0.0
    """Billions of multiply-accumulates per image, for estimates of time."""
    works: tuple[str, ...] = ()
    """What to cite: keys of `report/citations/references.bib`."""


@dataclass(frozen=True, kw_only=True)
class Extractor(Instrument):
    """A network in whose features images are compared."""

    load: Callable[[list[Path], torch.device], Any]
    """The network from its verified weight files.

    A function of images (n, C, H, W) on the device, of the size and range below, to its outputs by name, each (n, ...),
    or to a tensor where there is one output.
    """
    widths: dict[str, int]
    """Width of each output that a metric may use; empty where it compares pairs of images instead."""
    files: tuple[str | Path, ...] = ()
    """Weight files of a user's own, after those of `weights`; their digest is part of every protocol.

    A path is relative to the folder of the file that the extractor is brought from.
    """
    range: Range = "uint8"
    """The values of its input. Images are resized to `side` and scaled to them; under `uint8` the network does that
    itself, and a `side` is the only size that it takes."""
    half: bool = False
    """Whether features may be kept in half precision where `halved` finds that no distance moves by 1e-5."""
    batch: int = 32
    """The batch size at which it runs fastest on two cores."""
    channels: int = 3
    """Channels of its input; grey images are repeated to three, colour is never made grey."""
    side: int | None = None
    """Width and height of its input; None for any."""
    digest: str = ""
    """Of code and weights, for one that is known from a record of results alone."""

    def __post_init__(self) -> None:
        require_choice(self.range, Range, "Extractor.range")
        if self.channels not in (1, 3):
            raise ValueError(f"channels are 1 (grey) or 3 (RGB), not {self.channels!r}")
        if not self.inputs:
            kind = "RGB" if self.channels == 3 else "grey"
            size = f", bicubic (torch, antialiased, clamped) to {self.side} x {self.side}" if self.side else ""
            object.__setattr__(self, "inputs", f"{kind}{size}, {SCALED[self.range]}")
        object.__setattr__(self, "title", self.title or self.name)


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
