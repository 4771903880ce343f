"""Routing around blocks of others: what they are given, what comes back, and what is left alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from sgbench.guidance.rules.skip_layers import SkippedBlocks
from sgbench.networks.routing import RoutedBlocks, gather_along


class Adds(nn.Module):
    """Adds what every token is given to it, and notes how many tokens came."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def forward(self, hidden_states: Tensor, rotary: Tensor | None, words: Tensor) -> Tensor:
        self.seen.append(hidden_states.shape[1])
        moved = hidden_states + words.mean(dim=1, keepdim=True)
        return moved if rotary is None else moved + rotary[:, 0]


TOKENS, WIDTH, DEPTH = 6, 3, 5


def routed(*routes: tuple[int, int]) -> RoutedBlocks:
    return RoutedBlocks([Adds() for _ in range(DEPTH)], routes, {"rotary": 2})


def inputs() -> tuple[Tensor, dict[str, Tensor | None]]:
    generator = torch.Generator().manual_seed(0)
    state = torch.randn(2, TOKENS, WIDTH, generator=generator)
    rotary = torch.randn(2, 1, TOKENS, WIDTH, generator=generator)
    return state, {"rotary": rotary, "words": torch.randn(2, 4, WIDTH, generator=generator)}


@pytest.mark.slow
@given(kept=st.lists(st.permutations(range(TOKENS)), min_size=2, max_size=2), count=st.integers(1, TOKENS))
def test_kept_tokens_pass_all_blocks_and_the_others_skip_the_routes(kept: list[list[int]], count: int) -> None:
    blocks, (state, context) = routed((1, 2), (4, 4)), inputs()
    blocks.tokens = torch.tensor(kept)[:, :count]
    found = blocks(hidden_states=state, **context)
    rotary, words = context["rotary"], context["words"]
    assert rotary is not None
    assert words is not None
    step = words.mean(dim=1, keepdim=True) + rotary[:, 0]
    passed = torch.full((2, TOKENS), 2.0).scatter(1, blocks.tokens, float(DEPTH))
    assert torch.allclose(found, state + passed.unsqueeze(-1) * step, atol=1e-5)
    assert [block.seen for block in blocks.blocks] == [[TOKENS], [count], [count], [TOKENS], [count]]


def test_without_tokens_or_routes_every_token_passes_every_block() -> None:
    state, context = inputs()
    plain = routed()
    dense = plain(hidden_states=state, **context)
    assert torch.equal(routed((1, 3))(hidden_states=state, **context), dense)
    plain.tokens = torch.tensor([[0], [1]])
    assert torch.equal(plain(hidden_states=state, **context), dense)


def test_an_argument_that_is_not_given_stays_away() -> None:
    state, context = inputs()
    blocks = routed((0, DEPTH - 1))
    blocks.tokens = torch.tensor([[3, 1], [0, 5]])
    found = blocks(hidden_states=state, **(context | {"rotary": None}))
    assert torch.equal(found[0, [0, 2, 4, 5]], state[0, [0, 2, 4, 5]])
    assert not torch.equal(found[0, [1, 3]], state[0, [1, 3]])


def test_a_skipped_block_does_not_run_inside_a_route_or_at_its_ends() -> None:
    state, context = inputs()
    blocks = routed((1, 3))
    blocks.tokens, blocks.perturbation = torch.tensor([[3, 1], [0, 5]]), SkippedBlocks((1, 3, 4))
    blocks(hidden_states=state, **context)
    assert [block.seen for block in blocks.blocks] == [[TOKENS], [], [2], [], []]


def test_one_row_of_positions_serves_all_samples() -> None:
    shared = torch.arange(TOKENS * 4).view(1, 1, TOKENS, 2, 2)
    tokens = torch.tensor([[4, 0], [2, 2]])
    found = gather_along(shared, tokens, 2)
    assert found.shape == (2, 1, 2, 2, 2)
    assert torch.equal(found[0, 0], shared[0, 0, [4, 0]])
    assert torch.equal(found[1, 0], shared[0, 0, [2, 2]])


def test_routes_must_lie_inside_the_network() -> None:
    with pytest.raises(ValueError, match="overlaps another or leaves blocks"):
        routed((1, DEPTH))
