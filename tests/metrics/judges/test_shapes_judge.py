"""The detector of drawn shapes: right on every render, silent on what is no shape."""

from __future__ import annotations

import json
from importlib import resources

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sgbench.base.errors import UserError
from sgbench.metrics.judges.catalogue import DRAWN_RULES, drawn_digest
from sgbench.metrics.judges.shapes_judge import IMAGES, LEAST_PIXELS, SEED, detect, measure, moments
from sgbench.models.embedded import load_recipe, recipe_names
from sgbench.zoo.shapes.captions import COLOURS, SHAPES, SIDE
from sgbench.zoo.shapes.scenes import Scene, Thing, coverage, render

shapes, colours = st.sampled_from(SHAPES), st.sampled_from(sorted(COLOURS))
places, sizes = st.floats(11, 21), st.floats(5.0, 8.0)
grounds = st.integers(100, 156)


def seen(image: NDArray[np.uint8]) -> list[tuple[str, str]]:
    """Shapes and colours of what counts, by name."""
    return sorted((found.name, colour) for found, colour in detect(image) if found.score > DRAWN_RULES.threshold)


def plain(colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.full((SIDE, SIDE, 3), colour, dtype=np.uint8)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=8, deadline=None)
@given(x=places, y=places, radius=sizes, ground=grounds)
def test_every_shape_is_found_in_every_colour_and_size(
    shape: str, colour: str, x: float, y: float, radius: float, ground: int
) -> None:
    (found, seen_colour), *rest = detect(render(Scene((Thing(shape, colour, x, y, radius),), ground)))
    assert (found.name, seen_colour) == (shape, colour)
    assert found.score > 0.9
    assert found.box == pytest.approx((x - radius, y - radius, x + radius, y + radius), abs=0.7)
    assert all(other.score < DRAWN_RULES.threshold for other, _ in rest)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
# Not stars: their tips reach beyond their box, into a neighbour.
@given(st.permutations(sorted({*SHAPES} - {"star"})), st.permutations(sorted(COLOURS)), st.floats(6, 7), grounds)
def test_two_that_touch_are_told_apart_by_colour(
    names: list[str], tints: list[str], radius: float, ground: int
) -> None:
    def beside(first: str, second: str, half: float) -> list[tuple[str, str]]:
        left, right = Thing(first, tints[0], 16 - half, 16.0, radius), Thing(second, tints[1], 16 + half, 16.0, radius)
        return seen(render(Scene((left, right), ground)))

    # Boxes that meet, and squares, a little narrower than their box, whose whole sides do.
    assert beside(names[0], names[1], radius) == sorted(zip(names[:2], tints[:2], strict=True))
    assert beside("square", "square", 0.88 * radius) == sorted(("square", tint) for tint in tints[:2])


@settings(max_examples=40, deadline=None)
@given(shapes, colours, grounds)
def test_two_of_one_colour_that_overlap_are_not_two(shape: str, colour: str, ground: int) -> None:
    close = (Thing(shape, colour, 13.0, 16.0, 6.0), Thing(shape, colour, 19.0, 16.0, 6.0))
    assert len(seen(render(Scene(close, ground)))) < 2


@settings(deadline=None)
@given(grounds)
def test_an_empty_picture_shows_nothing(ground: int) -> None:
    assert detect(render(Scene((), ground))) == []


@pytest.mark.parametrize("colour", [*COLOURS.values(), (0, 0, 0), (255, 255, 255), (219, 41, 40), (128, 128, 128)])
def test_a_picture_of_one_colour_shows_nothing(colour: tuple[int, int, int]) -> None:
    """Also where the ground has a colour of the palette, and nothing stands out from it."""
    assert detect(plain(colour)) == []


@pytest.mark.parametrize("ground", COLOURS)
def test_shapes_are_found_on_a_ground_of_another_colour(ground: str) -> None:
    other = "black" if ground != "black" else "white"
    image = plain(COLOURS[ground])
    share = coverage("circle", 16.0, 16.0, 7.0)[..., None]
    image = np.rint(image + share * (np.array(COLOURS[other]) - image.astype(float))).astype(np.uint8)
    assert seen(image) == [("circle", other)]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 100_000), st.floats(0, 255))
def test_noise_is_no_shape(seed: int, spread: float) -> None:
    random = np.random.default_rng(seed)
    assert seen(random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)) == []
    assert seen(np.clip(random.normal(128, spread, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)) == []


@pytest.mark.parametrize("colour", COLOURS)
def test_noise_around_a_colour_is_no_shape(colour: str) -> None:
    around = np.random.default_rng(1).normal(0, 8, (SIDE, SIDE, 3)) + COLOURS[colour]
    assert seen(np.clip(around, 0, 255).astype(np.uint8)) == []


@settings(max_examples=30, deadline=None)
@given(shapes, colours, st.integers(0, 1000))
def test_a_little_noise_does_not_hide_a_shape(shape: str, colour: str, seed: int) -> None:
    image = render(Scene((Thing(shape, colour, 16.0, 16.0, 7.0),), 128))
    noise = np.random.default_rng(seed).normal(0, 3, image.shape)
    assert seen(np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)) == [(shape, colour)]


def test_a_patch_of_a_few_pixels_is_passed_over() -> None:
    image = plain((128, 128, 128))
    image[4:7, 4:8] = COLOURS["red"]
    assert len(detect(image)) == 1
    image[6, 7] = 128
    assert LEAST_PIXELS == 12
    assert detect(image) == []


def test_a_blob_that_is_no_shape_fits_none() -> None:
    image = plain((128, 128, 128))
    image[10:14, 4:28] = COLOURS["blue"]
    (found, colour), *_ = detect(image)
    assert colour == "blue"
    assert found.score < DRAWN_RULES.threshold


@pytest.mark.parametrize("shape", [(64, 64, 3), (32, 32, 1), (32, 32, 4), (16, 32, 3)])
def test_an_image_of_another_size_is_refused(shape: tuple[int, ...]) -> None:
    told = " x ".join(map(str, shape))
    with pytest.raises(UserError, match=rf"composition: an image has {told} values, drawn shapes are 32 x 32 x 3; "):
        detect(np.zeros(shape, dtype=np.uint8))


def test_moments_are_those_of_geometry() -> None:
    """Area and centre of mass of a triangle with base 2 at 0.82 and its tip at -1; of a ring of radii 0.48 and 1."""
    assert moments("triangle") == pytest.approx((1.82, 0.0, 0.82 - 1.82 / 3), abs=5e-3)
    assert moments("ring") == pytest.approx((np.pi * (1 - 0.48**2), 0.0, 0.0), abs=5e-3)


@pytest.mark.slow
def test_the_packaged_card_is_of_this_detector_and_says_what_it_measures() -> None:
    card = json.loads((resources.files("sgbench.zoo") / "weights" / "drawn-detector.json").read_text())
    assert card["sha256"] == drawn_digest()
    assert card["images"] == IMAGES
    measured = measure(250)
    assert measured.keys() == card.keys()
    assert (measured["name"], measured["sha256"]) == (card["name"], card["sha256"])
    assert card["objects"] / IMAGES == pytest.approx(measured["objects"] / 250, rel=0.1)
    for found in (card, measured):
        assert found["accuracy"] >= 0.99
        assert found["false_detections"] <= 0.01 * found["objects"]


def test_the_renders_it_is_measured_on_are_in_no_training_set() -> None:
    assert SEED not in {load_recipe(name).training.seed for name in recipe_names()}
