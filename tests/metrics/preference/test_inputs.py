"""Inputs against the functions that the published scorers see images with."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from sgbench.metrics.preference.cosine import longest_side, shortest_side

Draw = Callable[[int, int, int], np.ndarray]
Transform = Callable[[Image.Image], torch.Tensor]
SIDES = st.integers(1, 700)


@pytest.fixture(scope="module")
def package_transform() -> Transform:
    """hpsv2's own transform, its module loaded alone: the package as a whole lacks a file."""
    spec = importlib.util.find_spec("hpsv2")
    if spec is None or spec.origin is None:
        pytest.skip("hpsv2 is not installed")
    alone: Any = types.ModuleType("hpsv2_alone")
    alone.__path__ = [str(Path(spec.origin).parent / "src" / "open_clip")]
    sys.modules["hpsv2_alone"] = alone
    made: Transform = importlib.import_module("hpsv2_alone.transform").image_transform(
        224, is_train=False, resize_longest_max=True
    )
    return made


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(height=SIDES, width=SIDES)
@example(height=224, width=224)
@example(height=448, width=224)
@example(height=225, width=224)
@example(height=301, width=667)
def test_the_longest_side_is_hpsv2s_to_the_bit(
    package_transform: Transform, draw: Draw, height: int, width: int
) -> None:
    if max(height, width) == 224 != min(height, width) or min(height, width) * 224 / max(height, width) <= 0.5:
        return  # Where the package pads nothing, or is left with no pixels.
    pixels = draw(height * width, height, width)
    assert torch.equal(longest_side(pixels, 224), package_transform(Image.fromarray(pixels)))


def test_what_the_package_forgets_to_pad_is_padded(package_transform: Transform, draw: Draw) -> None:
    pixels = draw(0, 120, 224)
    theirs = package_transform(Image.fromarray(pixels))
    assert theirs.shape == (3, 120, 224)
    ours = longest_side(pixels, 224)
    assert torch.equal(ours[:, 52:172], theirs)
    black = longest_side(np.zeros((224, 224, 3), np.uint8), 224)
    assert torch.equal(ours[:, :52], black[:, :52])
    assert torch.equal(ours[:, 172:], black[:, 172:])


def test_a_side_never_vanishes(draw: Draw) -> None:
    assert longest_side(draw(0, 1, 700), 224).shape == (3, 224, 224)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(height=SIDES, width=SIDES)
@example(height=224, width=227)
@example(height=333, width=500)
def test_the_shortest_side_is_transformers(draw: Draw, height: int, width: int) -> None:
    """Its PIL processor with CLIP's settings, which PickScore's numbers were made with."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    pixels = draw(height + width, height, width)
    theirs = CLIPImageProcessorPil()(images=Image.fromarray(pixels), return_tensors="pt")["pixel_values"][0]
    assert torch.allclose(shortest_side(pixels, 224), theirs, atol=1e-6)
