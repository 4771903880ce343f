"""GenEval's detector by transformers (extra `hf`): Mask2Former (arXiv 2112.01527) with a Swin-S, on COCO instances.

The published evaluator runs mmdetection 2 with its own checkpoint (mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco, mask
AP 46.1). transformers reads the weights of the paper's authors (facebook/mask2former-swin-small-coco-instance, AP
46.3, CC BY-NC 4.0): the same network on the same data, trained in another run. Confidences differ from image to image,
so scores by the two detectors are of two protocols.

Everything around the network follows mmdetection, so that thresholds mean the same. The image is resized to 800 pixels
on its short side, whatever a processor in the folder says. A confidence is class probability times mask quality, and
masks may overlap; transformers' own post-processing takes the quality at 384 x 384 and gives a pixel to one object.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from sgbench.base.errors import UserError
from sgbench.cells.prompt_records import COCO_CLASSES
from sgbench.files.digest import unreadable
from sgbench.metrics.extract import exact_arithmetic, rebatched
from sgbench.metrics.judges.catalogue import HUB_ID
from sgbench.metrics.judges.geneval import Detection

CONFIG, WEIGHTS = "config.json", "model.safetensors"
# Names of COCO's classes, old and new, where GenEval has others.
ALIASES: Final = {
    "mouse": "computer mouse",
    "remote": "tv remote",
    "keyboard": "computer keyboard",
    "motorbike": "motorcycle",
    "aeroplane": "airplane",
    "sofa": "couch",
    "pottedplant": "potted plant",
    "diningtable": "dining table",
    "tvmonitor": "tv",
}
# mmdetection's test pipeline: longest sides, their multiple, grey padding, ImageNet mean and deviation.
SHORT, LONG = 800, 1333
MULTIPLE, GREY = 32, 128.0
MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
MOST = 100
NO_DIVISION_BY_ZERO = 1e-6
BATCH = 4


class Detector:
    """Images uint8 (H, W, 3) to the objects in each, unordered. Keeps every mask: judge one batch, then the next.

    `short` and `long` limit the sides that an image is resized to.
    """

    def __init__(self, network: nn.Module, device: torch.device, short: int = SHORT, long: int = LONG) -> None:
        self.network, self.device = network, device
        self.short, self.long = short, long

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Detection]]:
        """The 100 likeliest pairs of a query and a class for each image, most of them far below any threshold."""
        found: list[list[Detection]] = []
        with torch.inference_mode(), exact_arithmetic():
            for _, group in groupby(images, key=lambda image: image.shape):
                for batch in rebatched((image[None] for image in group), BATCH):
                    found += self._detect(torch.from_numpy(batch).permute(0, 3, 1, 2).to(self.device))
        return found

    def _detect(self, images: Tensor) -> list[list[Detection]]:
        inside = resized(images.float(), self.short, self.long)
        pixels = prepared(inside)
        outputs = self.network(pixel_values=pixels)
        return [
            instances(classes, at_size(masks, pixels.shape[2:], inside.shape[2:], images.shape[2:]))
            for classes, masks in zip(outputs.class_queries_logits, outputs.masks_queries_logits, strict=True)
        ]


def resized(images: Tensor, short: int, long: int) -> Tensor:
    """Images (n, 3, H, W), 0 to 255, with sides of at most `short` and `long`: whole values, not antialiased."""
    sides = images.shape[2:]
    scale = min(long / max(sides), short / min(sides))
    size = [int(side * scale + 0.5) for side in sides]
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False).round()


def prepared(images: Tensor) -> Tensor:
    """The network's input: padded at the right and below to multiples of 32, then normalised."""
    height, width = images.shape[2:]
    filled = F.pad(images, (0, -width % MULTIPLE, 0, -height % MULTIPLE), value=GREY)
    mean, deviation = (torch.tensor(x, device=images.device)[:, None, None] for x in (MEAN, DEVIATION))
    return (filled - mean) / deviation


def at_size(masks: Tensor, filled: Sequence[int], inside: Sequence[int], size: Sequence[int]) -> Tensor:
    """Mask logits (Q, h, w) of an input (height, width) `filled` up from `inside`, at the image's size (Q, H, W)."""
    whole = F.interpolate(masks[None], size=tuple(filled), mode="bilinear", align_corners=False)
    image = whole[..., : inside[0], : inside[1]]
    return F.interpolate(image, size=tuple(size), mode="bilinear", align_corners=False)[0]


def instances(classes: Tensor, masks: Tensor) -> list[Detection]:
    """Class logits (Q, 81), the last for no object, and mask logits (Q, H, W) as detections.

    The 100 likeliest pairs of query and class; a confidence is the class's probability times the mean probability of
    the pixels inside the mask, as in mmdetection's MaskFormerFusionHead.instance_postprocess. A query may appear under
    several classes, and masks may overlap. An empty mask has an empty box and score 0.
    """
    probabilities = classes.softmax(dim=-1)[:, :-1]
    likeliest = probabilities.flatten().topk(min(MOST, probabilities.numel()))
    inside = masks > 0
    quality = (masks.sigmoid() * inside).sum(dim=(1, 2)) / (inside.sum(dim=(1, 2)) + NO_DIVISION_BY_ZERO)
    queries, names = likeliest.indices // probabilities.shape[1], likeliest.indices % probabilities.shape[1]
    scores = likeliest.values * quality[queries]
    shapes = inside.cpu().numpy()
    boxes = [box_of(shape) for shape in shapes]
    return [
        Detection(COCO_CLASSES[name], boxes[query], score, shapes[query])
        for query, name, score in zip(queries.tolist(), names.tolist(), scores.tolist(), strict=True)
    ]


def box_of(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """The box around a mask (H, W): first pixel, and the one after the last."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return (0.0, 0.0, 0.0, 0.0)
    return (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def load(folder: Path, device: torch.device) -> Detector:
    """The detector from a local folder of transformers. Raises UserError for a folder that cannot be used."""
    try:
        from transformers import Mask2FormerForUniversalSegmentation
    except ImportError as error:
        raise UserError(
            "GenEval's objects are detected by transformers, which is not installed",
            where="geneval",
            fix="pip install 'sgbench[hf]'",
        ) from error
    _check_folder(folder)
    kind: Any = Mask2FormerForUniversalSegmentation
    try:
        with _quiet():
            network, notes = kind.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except Exception as error:  # A damaged configuration can raise anything.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise _unfit(f"the detector cannot be read ({reason})", folder) from error
    if absent := sorted(notes["missing_keys"]):
        raise _unfit(f"{len(absent)} of the detector's tensors are missing (the first is {absent[0]})", folder)
    check_classes(network.config.id2label, folder)
    return Detector(network.float().eval().requires_grad_(False).to(device), device)


def check_classes(names: Mapping[int, str], folder: Path) -> None:
    """Whether outputs are COCO's 80 classes in COCO's order. Raises UserError naming the first that is not."""
    found = [ALIASES.get(names[number], names[number]) for number in sorted(names)]
    if len(found) != len(COCO_CLASSES):
        raise _unfit(f"the detector knows {len(found)} classes, and COCO has {len(COCO_CLASSES)}", folder)
    for number, (name, expected) in enumerate(zip(found, COCO_CLASSES, strict=True)):
        if name != expected:
            raise _unfit(f"class {number} of the detector is {name!r}, and COCO's is {expected!r}", folder)


def _check_folder(folder: Path) -> None:
    """Check before transformers does: it takes a missing path for a name on the hub."""
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise _unfit(f"the detector's {name} is not in the folder", folder)
    path = folder / CONFIG
    try:
        config = json.loads(path.read_bytes())
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        raise _unfit(f"{CONFIG} is not JSON", folder) from error
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind != "mask2former":
        raise _unfit(f"the folder holds another model ({kind or 'of unknown type'}), not mask2former", folder)


def _unfit(what: str, folder: Path) -> UserError:
    return UserError(what, where=str(folder), fix=f"give a folder that holds {CONFIG} and {WEIGHTS} of {HUB_ID}")


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars or notes while transformers loads: problems end in a UserError."""
    from transformers.utils import logging

    screen: Any = logging
    bars, level = screen.is_progress_bar_enabled(), screen.get_verbosity()
    screen.disable_progress_bar()
    screen.set_verbosity_error()
    try:
        yield
    finally:
        screen.set_verbosity(level)
        if bars:
            screen.enable_progress_bar()
