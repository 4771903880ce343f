"""Judges of images of prompts as data: what each looks at, and the weights it is loaded from. No torch."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple

from sgbench.metrics.judges.geneval import GENEVAL
from sgbench.metrics.preference.catalogue import SCORERS
from sgbench.zoo.shapes.captions import COLOURS, SHAPES

if TYPE_CHECKING:
    pass

DRAWN, GENEVAL_JUDGE = "drawn", "geneval"
PACKAGES = {GENEVAL_JUDGE: "transformers", "hpsv2-package": "hpsv2"}
INSTALL = {
    "transformers": "pip install 'sgbench[hf]'",
    "hpsv2": "pip install --no-deps hpsv2 clint args (its pins would downgrade pytest and protobuf)",
}
# Raise it with every change of what the detector of drawn shapes sees.
DRAWN_VERSION = 1
# Real renders fit above 0.92; what fits worse than this is no shape that a person would name. For all tasks alike.
DRAWN_RULES = GENEVAL._replace(threshold=0.7, counting_threshold=0.7)
CLIP_WEIGHTS = "clip-vit-l14"
# An error by prompt needs so many.
FEWEST = 2


class Judge(NamedTuple):
    """What gives one value to every image of a prompt."""

    name: str
    title: str
    weights: tuple[str, ...]
    """Entries of `sgbench weights`; none for the detector of drawn shapes, which is a rule."""
    inputs: str
    """How an image and its prompt become the judge's input; part of every protocol."""
    gmacs: float
    """Multiply-accumulates an image, in billions, for estimates of time."""
    works: tuple[str, ...] = ()
    """What to cite: keys of `report/citations/references.bib`."""


# Published sizes: ViT-H/14 (632 M) at 224 pixels, ViT-L/14, BLIP-L, Qwen2-VL-7B, Mask2Former with a Swin-S at 800.
_GMACS = {"clipscore": 81.0, "imagereward": 80.0, "hpsv3": 4_000.0}
_VIT_H = 168.0


def _weights(scorer: str) -> str:
    """The entry that a scorer's files stand under: some share one."""
    return {"clipscore": CLIP_WEIGHTS, "hpsv2-package": "hpsv2.1"}.get(scorer, scorer)


JUDGES = {
    DRAWN: Judge(DRAWN, "the detector of drawn shapes", (), "RGB as drawn, 32 x 32", 0.0),
    GENEVAL_JUDGE: Judge(
        GENEVAL_JUDGE,
        "Mask2Former (Swin-S, COCO instances, transformers) and CLIP ViT-L/14 for colours",
        ("mask2former", CLIP_WEIGHTS),
        "RGB, short side to 800 pixels",
        180.0,
        ("cheng2022mask2former", "wolf2020transformers", "radford2021clip", "ilharco2021openclip"),
    ),
    **{
        name: Judge(name, scorer.title, (_weights(name),), scorer.variant, _GMACS.get(name, _VIT_H), scorer.works)
        for name, scorer in SCORERS.items()
    },
}


def drawn_digest() -> str:
    """What stands for weights in the protocol of the detector of drawn shapes: its version, palette and rules."""
    rule = [DRAWN_VERSION, SHAPES, {name: list(colour) for name, colour in COLOURS.items()}, list(DRAWN_RULES)]
    return hashlib.sha256(json.dumps(rule).encode()).hexdigest()
