"""How often the detector of drawn shapes is right, on renders that no training set holds."""

from __future__ import annotations

from typing import Any, Final

from sgbench.metrics.judges.catalogue import DRAWN_RULES, drawn_digest
from sgbench.metrics.judges.geneval import Detection
from sgbench.metrics.judges.shapes_judge import detect
from sgbench.zoo.shapes.scenes import Thing, render, training_example

# No recipe has this seed.
SEED: Final = 1
IMAGES: Final = 2_000
# Pixels by which a centre may be off.
NEAR: Final = 1.0


def measure(images: int = IMAGES) -> dict[str, Any]:
    """Objects in so many renders, and the share found above the threshold with their shape, colour and place."""
    objects = right = false = 0
    for index in range(images):
        _, scene = training_example(SEED, index)
        left = [(found, colour) for found, colour in detect(render(scene)) if found.score > DRAWN_RULES.threshold]
        for thing in scene.things:
            match = next((pair for pair in left if _same(thing, *pair)), None)
            objects += 1
            if match is not None:
                right += 1
                left.remove(match)
        false += len(left)
    return {
        "name": "drawn-detector",
        "sha256": drawn_digest(),
        "images": images,
        "objects": objects,
        "accuracy": right / objects,
        "false_detections": false,
    }


def _same(thing: Thing, found: Detection, colour: str) -> bool:
    x, y = (found.box[0] + found.box[2]) / 2, (found.box[1] + found.box[3]) / 2
    return (found.name, colour) == (thing.shape, thing.colour) and max(abs(x - thing.x), abs(y - thing.y)) <= NEAR
