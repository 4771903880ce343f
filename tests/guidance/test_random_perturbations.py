"""Perturbations that draw at random: what they do to attention, and what their draws depend on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from sgbench.cells.cell import Cell
from sgbench.cells.closed_form import kept_macs
from sgbench.cells.randomness import generator
from sgbench.cost.macs import count_kept
from sgbench.guidance import RULES
from sgbench.guidance.perturbation import Draws, Perturbation, RandomPerturbation
from sgbench.guidance.rules.dropout import Dropout
from sgbench.guidance.rules.token_shuffle import ShuffledTokens
from sgbench.samplers.settings import Sampler
from sgbench.sampling.engine import final_state
from sgbench.sampling.networks import Networks
from tests.every_rule import EVERY

Tiny = Callable[[str, int], tuple[str, Networks]]
CPU = torch.device("cpu")
RANDOM = [
    name
    for name, rule in RULES.items()
    if rule.perturbed is not None
    and rule.perturbed.perturbation is not None
    and issubclass(rule.perturbed.perturbation, RandomPerturbation)
]
HEADS, TOKENS, WIDTH = 2, 9, 12


def drawn(perturbation: Perturbation, images: Sequence[int]) -> Perturbation:
    generators = (generator(0, 1 << 32, image) for image in images)
    return perturbation.drawn(Draws(generators, TOKENS, lambda layer: WIDTH, torch.from_numpy))


def attended(images: int, words: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    made = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(images, HEADS, TOKENS + words, WIDTH // HEADS, generator=made) for _ in range(3))
    return query[:, :, words:], key, value


def test_the_rules_that_draw_are_known() -> None:
    assert RANDOM == ["tpg", "dropout"]


@pytest.mark.parametrize("words", [0, 3])
def test_shuffled_tokens_get_what_others_would(words: int) -> None:
    """Which is what tokens get that enter attention in that order."""
    query, key, value = attended(3, words)
    acts = drawn(ShuffledTokens((1, 4)), range(3)).at(4)
    found, plain = acts.attention(query, key, value, None), scaled_dot_product_attention(query, key, value)
    assert isinstance(acts, ShuffledTokens)
    assert acts.draw is not None
    for image, order in enumerate(acts.draw):
        assert sorted(order.tolist()) == list(range(TOKENS))
        assert torch.equal(found[image], plain[image][:, order])
        kept = torch.cat([torch.arange(words), words + order])
        moved = scaled_dot_product_attention(query[image][:, order], key[image][:, kept], value[image][:, kept])
        assert torch.allclose(found[image], moved, atol=1e-6)


@given(share=st.floats(0, 0.99))
def test_dropout_drops_a_share_and_keeps_the_mean(share: float) -> None:
    query, key, value = attended(64)
    plain = scaled_dot_product_attention(query, key, value)
    found = drawn(Dropout((0,), share=share), range(64)).at(0).attention(query, key, value, None)
    kept = found != 0
    assert torch.allclose(found[kept], plain[kept] / (1 - share))
    # A binomial share of as many activations, within five deviations.
    slack = 5 * (share * (1 - share) / found.numel()) ** 0.5 + 1e-4
    assert abs(1 - share - float(kept.float().mean())) < slack


@pytest.mark.parametrize("perturbation", [ShuffledTokens((0, 2)), Dropout((0, 2), share=0.5)])
def test_draws_differ_by_image_and_block_and_not_by_batch(perturbation: RandomPerturbation) -> None:
    def draws(images: Sequence[int]) -> list[Any]:
        found = drawn(perturbation, images)
        assert found == perturbation
        assert hash(found) == hash(perturbation)
        return [found.at(layer).draw.numpy() for layer in (0, 2)]  # type: ignore[attr-defined]

    first, second = draws(range(4))
    assert not np.array_equal(first, second)
    assert len({image.tobytes() for image in (*first, *second)}) == 8
    for whole, part in zip((first, second), draws([3, 1]), strict=True):
        assert np.array_equal(whole[[3, 1]], part)


@pytest.mark.parametrize("rule", RANDOM)
def test_an_image_is_the_same_in_any_batch_and_differs_by_seed(tiny: Tiny, rule: str) -> None:
    name, networks = tiny("tread-sit", 0)

    def state(seed: int, indices: list[int]) -> Tensor:
        cell = Cell(name, EVERY[rule], Sampler("euler", 3), seed, "balanced", "float32")
        return final_state(cell, networks, indices, CPU)

    whole = state(0, [0, 1, 2, 3])
    assert torch.allclose(state(0, [2]), whole[[2]], atol=1e-5)
    assert torch.equal(state(0, [0, 1, 2, 3]), whole)
    assert not torch.allclose(state(1, [0, 1, 2, 3]), whole, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["tread-sit", "sprint", "maskdit", "mdtv2", "dit"])
@pytest.mark.parametrize("perturbation", [ShuffledTokens((0, 2)), Dropout((0, 2), share=0.5)])
def test_draws_cost_nothing(tiny: Tiny, family: str, perturbation: Perturbation) -> None:
    _, networks = tiny(family, 0)
    a = networks.main.architecture
    assert count_kept(networks.main, a.grid_tokens, perturbation) == kept_macs(a, a.grid_tokens)
