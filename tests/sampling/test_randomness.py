"""Draws are pure functions of (seed, stream, index, step)."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sgbench.sampling.randomness import Stream, generator, labels, noise, random_classes, token_subset


def test_draws_are_pinned() -> None:
    """Recorded from numpy's Philox on first writing: a change of these changes every image."""
    assert np.allclose(noise(0, [0, 7], (2,)), PINNED_NOISE, atol=1e-4)
    assert token_subset(0, Stream.WEAK_TOKENS, [0, 7], 3, 64, 4).tolist() == PINNED_TOKENS
    assert random_classes(0, range(6), 1, 10).tolist() == PINNED_CLASSES


PINNED_NOISE = [[0.0599, 0.0156], [0.3049, 0.9909]]
PINNED_TOKENS = [[4, 17, 42, 51], [1, 20, 45, 59]]
PINNED_CLASSES = [1, 1, 7, 6, 9, 7]


@settings(max_examples=30)
@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=6, unique=True), st.integers(0, 2**40))
def test_a_draw_does_not_depend_on_its_company(indices: list[int], seed: int) -> None:
    together = noise(seed, indices, (3, 2))
    alone = np.concatenate([noise(seed, [index], (3, 2)) for index in indices])
    assert np.array_equal(together, alone)
    subsets = token_subset(seed, Stream.STRONG_TOKENS, indices, 1, 16, 5)
    assert np.array_equal(subsets[-1:], token_subset(seed, Stream.STRONG_TOKENS, indices[-1:], 1, 16, 5))


def test_streams_steps_seeds_and_indices_differ() -> None:
    draws = [
        generator(seed, stream, index, step).random()
        for seed in (0, 1)
        for stream in Stream
        for index in (0, 1)
        for step in (0, 1)
    ]
    assert len(set(draws)) == len(draws)


@given(grid=st.integers(1, 100), share=st.floats(0.01, 1), step=st.integers(0, 50))
def test_a_subset_has_exactly_the_kept_tokens(grid: int, share: float, step: int) -> None:
    kept = max(1, int(grid * share))
    subset = token_subset(5, Stream.WEAK_TOKENS, [2], step, grid, kept)[0]
    assert len(set(subset.tolist())) == kept
    assert subset.min() >= 0
    assert subset.max() < grid


def test_every_token_is_kept_equally_often() -> None:
    subsets = token_subset(0, Stream.WEAK_TOKENS, range(4000), 0, 16, 4)
    counts = np.bincount(subsets.ravel(), minlength=16)
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
