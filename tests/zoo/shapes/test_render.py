"""Drawings of shapes: shares of pixels, in proportion to their size, wherever they stand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgbench.zoo.shapes.captions import COLOURS, SHAPES, SIDE
from sgbench.zoo.shapes.scenes import Scene, Thing, coverage, render

# The tips of a star lie farther out than what is called its half width, and those of a heart and a diamond a little.
REACH = {"star": 1.34, "heart": 1.13, "diamond": 1.09}
UPRIGHT = ["circle", "square", "cross", "ring", "diamond"]
shapes = st.sampled_from(SHAPES)
places = st.floats(-8.0, SIDE + 8.0)
sizes = st.floats(2.0, 12.0)
few = settings(max_examples=60, deadline=None)


@few
@given(shapes, places, places, sizes)
def test_coverage_is_a_share(shape: str, x: float, y: float, radius: float) -> None:
    found = coverage(shape, x, y, radius)
    assert found.shape == (SIDE, SIDE)
    assert ((found >= 0) & (found <= 1)).all()


@few
@given(shapes, st.floats(14, 18), st.floats(14, 18), st.floats(3, 8))
def test_a_shape_stays_within_its_reach(shape: str, x: float, y: float, radius: float) -> None:
    """And fills a good part of it."""
    rows, columns = np.nonzero(coverage(shape, x, y, radius) > 0.5)
    farthest = max(np.abs(columns + 0.5 - x).max(), np.abs(rows + 0.5 - y).max())
    assert 0.8 * radius - 1 <= farthest <= REACH.get(shape, 1.0) * radius


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@given(radius=st.floats(20, 50), growth=st.floats(1.1, 2.0))
@settings(max_examples=15, deadline=None)
def test_area_grows_with_the_radius_squared(shape: str, radius: float, growth: float) -> None:
    small, large = (coverage(shape, 140, 140, size, 280).sum() for size in (radius, radius * growth))
    assert large / small == pytest.approx(growth**2, rel=0.02)


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        ("circle", np.pi),
        ("square", 1.76**2),
        ("ring", np.pi * (1 - 0.48**2)),
        ("cross", 4 * 0.68 - 0.68**2),
        ("triangle", 1.82**2 / 1.82),
        ("diamond", 2 * 1.08**2 / 1.35),
    ],
)
def test_areas_are_those_of_geometry(shape: str, area: float) -> None:
    """From the lengths in the outlines, for a radius of one."""
    assert coverage(shape, 200, 200, 150, 400).sum() / 150**2 == pytest.approx(area, rel=2e-3)


@few
@given(shapes, sizes, st.floats(10, 22))
def test_every_shape_is_its_own_mirror_image(shape: str, radius: float, y: float) -> None:
    found = coverage(shape, SIDE / 2, y, radius)
    assert np.allclose(found, found[:, ::-1], atol=1e-9)


@few
@given(st.sampled_from(UPRIGHT), sizes, st.floats(10, 22))
def test_some_look_the_same_upside_down(shape: str, radius: float, x: float) -> None:
    found = coverage(shape, x, SIDE / 2, radius)
    assert np.allclose(found, found[::-1], atol=1e-9)


@few
@given(st.sampled_from(["circle", "square", "cross", "ring"]), sizes)
def test_some_look_the_same_turned_by_a_quarter(shape: str, radius: float) -> None:
    found = coverage(shape, SIDE / 2, SIDE / 2, radius)
    assert np.allclose(found, np.rot90(found), atol=1e-9)


@few
@given(shapes, sizes, st.integers(-5, 5), st.integers(-5, 5))
def test_a_shape_moves_by_whole_pixels(shape: str, radius: float, across: int, down: int) -> None:
    moved = coverage(shape, 40 + across, 40 + down, radius, 80)
    assert np.allclose(moved, np.roll(coverage(shape, 40, 40, radius, 80), (down, across), (0, 1)), atol=1e-9)


@few
@given(shapes, st.lists(st.tuples(places, places, sizes), min_size=1, max_size=4))
def test_many_at_once_are_the_same_as_one_by_one(shape: str, given_places: list[tuple[float, float, float]]) -> None:
    x, y, radius = np.array(given_places).T
    assert np.array_equal(coverage(shape, x, y, radius), [coverage(shape, *place) for place in given_places])


@few
@given(shapes, st.sampled_from(sorted(COLOURS)), st.integers(100, 156))
def test_a_render_goes_from_the_ground_to_the_colour(shape: str, colour: str, ground: int) -> None:
    image = render(Scene((Thing(shape, colour, 16.0, 16.0, 7.0),), ground))
    assert image.dtype == np.uint8
    assert image.shape == (SIDE, SIDE, 3)
    inside, outside = (coverage(shape, 16.0, 16.0, 7.0) == share for share in (1, 0))
    assert inside.any()
    assert (image[inside] == COLOURS[colour]).all()
    assert (image[outside] == ground).all()
    low, high = np.minimum(COLOURS[colour], ground), np.maximum(COLOURS[colour], ground)
    assert ((image >= low) & (image <= high)).all()


def test_the_order_of_things_apart_means_nothing() -> None:
    things = (Thing("circle", "red", 8.0, 8.0, 6.0), Thing("star", "blue", 23.0, 23.0, 6.0))
    assert np.array_equal(render(Scene(things, 128)), render(Scene(things[::-1], 128)))


def test_an_empty_scene_is_the_ground() -> None:
    assert np.array_equal([render(Scene((), ground))[0, 0] for ground in (100, 156)], [[100] * 3, [156] * 3])
