"""Draws are pure functions of (seed, stream, index, step)."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sgbench.cells.randomness import Stream, generator, labels, noise, random_classes, step_noise, token_orders


def test_draws_are_pinned() -> None:
    """Recorded from numpy's Philox on first writing: a change of these changes every image."""
    assert np.allclose(noise(0, [0, 7], (2,)), PINNED_NOISE, atol=1e-4)
    assert np.allclose(step_noise(0, [7], (2,), 3), PINNED_STEP_NOISE, atol=1e-4)
    assert token_orders(0, Stream.WEAK_TOKENS, [0, 7], 4, 64)[3, :, :4].tolist() == PINNED_TOKENS
    assert random_classes(0, range(6), 2, 10)[1].tolist() == PINNED_CLASSES


PINNED_NOISE = [[0.0599, 0.0156], [0.3049, 0.9909]]
PINNED_STEP_NOISE = [[0.1664, -1.4303]]
PINNED_TOKENS = [[17, 56, 60, 20], [56, 3, 52, 63]]
PINNED_CLASSES = [4, 2, 0, 3, 3, 6]


@settings(max_examples=30)
@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=6, unique=True), st.integers(0, 2**40))
def test_a_draw_does_not_depend_on_its_company(indices: list[int], seed: int) -> None:
    together = noise(seed, indices, (3, 2))
    alone = np.concatenate([noise(seed, [index], (3, 2)) for index in indices])
    assert np.array_equal(together, alone)
    orders = token_orders(seed, Stream.STRONG_TOKENS, indices, 3, 16)
    assert np.array_equal(orders[:, -1:], token_orders(seed, Stream.STRONG_TOKENS, indices[-1:], 3, 16))
    # More evaluations begin with the same ones.
    assert np.array_equal(orders, token_orders(seed, Stream.STRONG_TOKENS, indices, 5, 16)[:3])


def test_streams_steps_seeds_and_indices_differ() -> None:
    draws = [
        generator(seed, stream, index, step).random()
        for seed in (0, 1)
        for stream in Stream
        for index in (0, 1)
        for step in (0, 1)
    ]
    assert len(set(draws)) == len(draws)


@given(grid=st.integers(1, 100), evaluations=st.integers(1, 5))
def test_an_order_holds_every_token_once(grid: int, evaluations: int) -> None:
    orders = token_orders(5, Stream.WEAK_TOKENS, [2, 9], evaluations, grid)
    assert orders.shape == (evaluations, 2, grid)
    assert (np.sort(orders, axis=2) == np.arange(grid)).all()


def test_every_token_is_first_equally_often() -> None:
    first = token_orders(0, Stream.WEAK_TOKENS, range(2000), 2, 16)[:, :, :4]
    counts = np.bincount(first.ravel(), minlength=16)
    expected, deviation = 1000, np.sqrt(4000 * 0.25 * 0.75)
    assert np.abs(counts - expected).max() < 4.5 * deviation


def test_noise_is_unit_normal() -> None:
    drawn = noise(1, range(200), (100,))
    assert abs(drawn.mean()) < 0.03
    assert abs(drawn.std() - 1) < 0.02


def test_label_policies() -> None:
    assert labels(0, range(12), 5, "balanced").tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]
    drawn = labels(0, range(2000), 5, "random")
    assert np.bincount(drawn).min() > 300
    assert drawn[7] == labels(0, [7], 5, "random")[0]
