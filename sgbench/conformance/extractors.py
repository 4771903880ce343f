"""The laws of extractors: what they declare is what they give, of each image alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgbench.base.errors import UserError
from sgbench.conformance.devices import NAME, other_device
from sgbench.conformance.law import (
    BrokenError,
    Law,
    NotApplicableError,
    require_no_global_randomness,
    seed_global_randomness,
)
from sgbench.conformance.pictures import CPU, pictures
from sgbench.conformance.tensors import distance, require_equal
from sgbench.metrics.extract import Loaded, load_extractor, scaled
from sgbench.metrics.instrument import Extractor
from sgbench.metrics.weights import extractor_digest, instrument_named, require

# Kernels of a CPU round by the number of rows, and networks are deep; half precision rounds once more.
OF_A_NETWORK = 2e-3
ROWS: Final = 8
ANY_SIDE = 32


@dataclass(frozen=True)
class ExtractorCase:
    """An extractor on a CPU, and images of a size that it takes."""

    extractor: Extractor

    @cached_property
    def loaded(self) -> Loaded:
        """Raises NotApplicableError where its weights are not on this machine, and for one that compares pairs."""
        if not self.extractor.widths:
            raise NotApplicableError("it compares pairs of images and has no outputs")
        require_weights(self.extractor.name)
        return load_extractor(self.extractor.name, CPU)

    def images(self, numbers: Sequence[int]) -> NDArray[np.uint8]:
        return pictures(numbers, self.extractor.channels, self.extractor.side or ANY_SIDE)

    def outputs(self, numbers: Sequence[int], loaded: Loaded | None = None) -> dict[str, Tensor]:
        """Its outputs (n, ...) for images by their numbers, as scores are given them."""
        seed_global_randomness()
        found = (loaded or self.loaded)([self.images(numbers)], "sgbench check")
        return {name: torch.from_numpy(np.array(output)) for name, output in found.items()}


def require_weights(name: str) -> None:
    """Raise NotApplicableError where weights that can be fetched are not here, and UserError for a user's own."""
    for entry in instrument_named(name).weights:
        try:
            require(entry.name)
        except UserError as error:
            raise NotApplicableError(f"{error.what} ({error.fix})") from error
    extractor_digest(name)


def _declared(case: ExtractorCase) -> None:
    for name, output in case.outputs(range(ROWS)).items():
        width = case.extractor.widths[name]
        if output.shape not in ((ROWS, width), (ROWS,)):
            raise BrokenError(f"{name} has the shape {list(output.shape)} for {ROWS} images of {width} values")


def _differ(case: ExtractorCase) -> None:
    for name, output in case.outputs(range(ROWS)).items():
        if output.is_floating_point() and distance(output, output[:1].expand_as(output)) == 0:
            raise BrokenError(f"{ROWS} different images have the same {name}")


def _batch(case: ExtractorCase) -> None:
    whole = case.outputs(range(ROWS))
    for row in (0, 3, ROWS - 1):
        for name, alone in case.outputs([row]).items():
            _require_same(alone, whole[name][row : row + 1], f"{name} of image {row} alone differs")


def _again(case: ExtractorCase) -> None:
    first = case.outputs(range(ROWS))
    case.outputs(range(ROWS, ROWS + 3))
    for name, output in case.outputs(range(ROWS)).items():
        require_equal(output, first[name], f"{name} of the same images after others differ")


def _loaded_again(case: ExtractorCase) -> None:
    first = case.outputs(range(2))
    seed_global_randomness(1)
    for name, output in case.outputs(range(2), load_extractor(case.extractor.name, CPU)).items():
        _require_same(output, first[name], f"loaded a second time, {name} of the same images differ")


def _random(case: ExtractorCase) -> None:
    assert case.loaded
    require_no_global_randomness(lambda: case.outputs(range(2)))


def _inputs(case: ExtractorCase) -> None:
    images = scaled(case.extractor, torch.from_numpy(case.images(range(2))).permute(0, 3, 1, 2))
    before = images.clone()
    with torch.inference_mode():
        case.loaded.network(images)
    require_equal(images, before, "the images are changed in place")


def _device(case: ExtractorCase) -> None:
    here = case.outputs(range(ROWS))
    with other_device() as device:
        for name, there in case.outputs(range(ROWS), load_extractor(case.extractor.name, device)).items():
            _require_same(there, here[name], f"{name} differ there")


def _require_same(found: Tensor, expected: Tensor, what: str) -> None:
    apart = distance(found, expected)
    if apart > (OF_A_NETWORK if expected.is_floating_point() else 0):
        raise BrokenError(f"{what} by {apart:.2g} of the largest value")


LAWS: Final[tuple[Law[ExtractorCase], ...]] = (
    Law("it gives what it declares, finite", _declared),
    Law("different images have different features", _differ),
    Law("a batch of one is a batch of eight", _batch),
    Law("the same images give the same, bit for bit", _again),
    Law("loaded again it is the same", _loaded_again),
    Law("it leaves its images as they are", _inputs),
    Law("it uses no global random state", _random),
    Law(NAME, _device),
)
