"""Run an extractor over images: in fixed batches, in float32 whatever fast modes are on, finite values only."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgbench.base.errors import NoScoreError, UserError
from sgbench.metrics.extractors import EXTRACTORS
from sgbench.metrics.instrument import Extractor
from sgbench.metrics.own_code import running
from sgbench.metrics.weights import to_load

# An extractor's batch is for two CPU cores; GPUs take larger ones.
GPU_FACTOR = 4
HALF_NOISE = 3e-8
# Mean and deviation of the channels of ImageNet's training images, from 0 to 1.
IMAGENET: Final = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Arrays = dict[str, NDArray[Any]]
Network = Callable[[Tensor], dict[str, Tensor] | Tensor]
"""Images (n, C, H, W) on the network's device, scaled as declared, to its outputs, each (n, ...), or to the one."""


class Loaded:
    """An extractor on a device, ready to run."""

    def __init__(self, extractor: Extractor, network: Network, device: torch.device) -> None:
        self.extractor, self.network, self.device = extractor, network, device
        self.batch = extractor.batch * (GPU_FACTOR if device.type == "cuda" else 1)

    def __call__(self, parts: Iterable[NDArray[np.uint8]], where: str) -> Arrays:
        """Outputs for images uint8 (n, H, W, C) that come in parts of any size, in order.

        Features are float16 or float32, as they are stored. Raises UserError naming `where` for images of the wrong
        size or channels and for outputs that are not finite.
        """
        found: list[dict[str, Tensor]] = []
        with torch.inference_mode(), exact_arithmetic():
            for batch in rebatched(parts, self.batch):
                ready = channels_for(self.extractor, batch, where)
                images = scaled(self.extractor, torch.from_numpy(ready).permute(0, 3, 1, 2).to(self.device))
                with running(EXTRACTORS, self.extractor.name):
                    outputs = self.network(images)
                found.append(self._checked(outputs, len(batch)))
        if not found:
            raise UserError("there are no images to compare", where=where, fix="give at least two")
        return {name: self._kept(torch.cat([f[name] for f in found]), name, where) for name in found[0]}

    def _checked(self, outputs: Tensor | dict[str, Tensor], count: int) -> dict[str, Tensor]:
        """The declared outputs, (count, width) or (count,) where the width is 1. Raises NoScoreError for any other."""
        extractor, found = self.extractor, {}
        given = {next(iter(extractor.widths)): outputs} if isinstance(outputs, Tensor) else outputs
        for name, width in extractor.widths.items():
            output = given.get(name) if isinstance(given, dict) else None
            shape = tuple(output.shape) if isinstance(output, Tensor) else None
            # One number of each image, such as its class, may come without a second axis.
            if output is None or (shape != (count, width) and (width, shape) != (1, (count,))):
                what = f"gives no tensor {name!r}" if shape is None else f"gives {name} of shape {shape}"
                raise NoScoreError(
                    f"{what} for {count} images, and declares {width} values of each",
                    where=f"{EXTRACTORS.origin(extractor.name).text} (extractor {extractor.name})",
                    fix="correct `widths`, or what `load` returns",
                )
            found[name] = (output.float() if output.is_floating_point() else output).cpu()
        return found

    def _kept(self, output: Tensor, name: str, where: str) -> NDArray[Any]:
        array = output.numpy()
        if not np.issubdtype(array.dtype, np.floating):
            return np.asarray(array)
        bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
        if bad.any():
            raise NoScoreError(
                f"{self.extractor.name} gives values that are not finite for {int(bad.sum())} images "
                f"(the first is number {int(bad.argmax())})",
                where=where,
                fix="look at those images",
            )
        return halved(array) if self.extractor.half and name != "logits" else np.asarray(array)


def halved(features: NDArray[np.float32]) -> NDArray[Any]:
    """Features (n, D) in half precision where its rounding error is negligible against their spread, else unchanged.

    Rounding noise adds to every variance. At this share of it, a distance of a thirtieth of the spread changes by less
    than 1e-5 (docs/accuracy.md); features that hardly differ between images stay in full precision.
    """
    with np.errstate(over="ignore"):
        half = features.astype(np.float16)
    noise = np.square(half.astype(np.float64) - features).sum()
    spread = np.square(features - features.mean(axis=0), dtype=np.float64).sum()
    return np.asarray(half if noise < HALF_NOISE * spread else features)


def load_extractor(name: str, device: torch.device) -> Loaded:
    """An extractor from its verified weights. Raises UserError when they are missing, damaged or of another network."""
    extractor = EXTRACTORS[name]
    paths = to_load(extractor)
    with running(EXTRACTORS, name):
        network = extractor.load(paths, device)
    return Loaded(extractor, network, device)


def channels_for(extractor: Extractor, images: NDArray[np.uint8], where: str) -> NDArray[np.uint8]:
    """Images with the channels that the extractor takes. Raises UserError where that would invent or lose colour."""
    height, width, channels = images.shape[1:]
    side = extractor.side if extractor.range == "uint8" else None
    if (side is not None and (height, width, channels) != (side, side, extractor.channels)) or (
        channels > extractor.channels
    ):
        size = "" if side is None else f" of {side} x {side} pixels"
        raise NoScoreError(
            f"{extractor.name} takes {'grey' if extractor.channels == 1 else 'RGB'} images{size}, "
            f"and these are {width} x {height} with {channels} channel{'s' if channels > 1 else ''}",
            where=where,
            fix="choose metrics of another extractor, such as fd_lite0 or fid",
        )
    if channels == extractor.channels:
        return images
    return np.repeat(images, 3, axis=3)


def scaled(extractor: Extractor, images: Tensor) -> Tensor:
    """Images uint8 (n, C, H, W) in the size and the range that an extractor declares."""
    if extractor.range == "uint8":
        return images
    x, side = images.float(), extractor.side
    if side is not None and x.shape[2:] != (side, side):
        x = torch.nn.functional.interpolate(x, size=(side, side), mode="bicubic", antialias=True).clamp(0, 255)
    match extractor.range:
        case "0..255":
            return x
        case "0..1":
            return x / 255
        case "-1..1":
            return x / 127.5 - 1
        case "imagenet":
            mean, deviation = (torch.tensor(of, device=x.device)[:, None, None] for of in IMAGENET)
            return (x / 255 - mean) / deviation
        case _:
            assert_never(extractor.range)


def rebatched(parts: Iterable[NDArray[np.uint8]], size: int) -> Iterator[NDArray[np.uint8]]:
    """The same images in batches of `size`, so that features never depend on how they were stored."""
    waiting: list[NDArray[np.uint8]] = []
    count = 0
    for part in parts:
        start = 0
        while start < len(part):
            take = min(size - count, len(part) - start)
            waiting.append(part[start : start + take])
            start, count = start + take, count + take
            if count == size:
                yield np.concatenate(waiting)
                waiting, count = [], 0
    if count:
        yield np.concatenate(waiting)


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """No TF32 and no choice of kernels by timing while features are made: a score must not depend on fast modes.

    The switches are those of the whole process: no other thread may generate images meanwhile.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = False, False, False
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = before
