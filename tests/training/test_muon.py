"""Muon: against a singular value decomposition, and against torch's own optimiser, which rounds to bfloat16."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sgbench.training.muon import ADAMW_SCALE, Muon, orthogonal

SHAPES = [(12, 12), (6, 20), (20, 6), (12, 12)]
few = settings(max_examples=20, deadline=None)
sides, seeds = st.integers(2, 24), st.integers(0, 1000)


def matrices(seed: int, count: int, rows: int, columns: int) -> Tensor:
    return torch.randn(count, rows, columns, generator=torch.Generator().manual_seed(seed))


def parameters(seed: int = 0) -> list[nn.Parameter]:
    return [nn.Parameter(matrices(seed + i, 1, *shape)[0]) for i, shape in enumerate(SHAPES)]


def descend(optimiser: torch.optim.Optimizer, trained: list[nn.Parameter], steps: range) -> None:
    """Steps on noisy gradients of a quadratic around other matrices, the same for every optimiser."""
    goals = parameters(100)
    for step in steps:
        for number, (parameter, goal) in enumerate(zip(trained, goals, strict=True)):
            noise = matrices(1000 * step + number, 1, *parameter.shape)[0]
            parameter.grad = (parameter - goal).detach() + 0.3 * noise
        optimiser.step()


# Orthogonal


@few
@given(seeds, sides, sides)
def test_singular_vectors_stay_and_singular_values_become_about_one(seed: int, rows: int, columns: int) -> None:
    """By the singular value decomposition: the iteration ends in about 0.7 to 1.2 for values that are not tiny."""
    given_one = matrices(seed, 1, rows, columns).double()
    left, values, right = torch.linalg.svd(given_one[0], full_matrices=False)
    inner = left.mT @ orthogonal(given_one)[0] @ right.mT
    found = inner.diagonal()
    assert torch.allclose(inner, torch.diag(found), atol=1e-9)
    large = values / values.norm() > 0.02
    assert large.any()
    assert ((found[large] > 0.6) & (found[large] < 1.3)).all()
    assert ((found > -1e-9) & (found < 1.3)).all()


@few
@given(seeds, sides, sides)
def test_each_matrix_of_a_stack_is_made_orthogonal_alone(seed: int, rows: int, columns: int) -> None:
    stack = matrices(seed, 3, rows, columns)
    alone = torch.cat([orthogonal(stack[i : i + 1]) for i in range(3)])
    assert torch.allclose(orthogonal(stack), alone, atol=1e-4)


@few
@given(seeds, sides, sides, st.floats(1e-3, 1e3))
def test_size_means_nothing_and_a_transpose_is_a_transpose(seed: int, rows: int, columns: int, size: float) -> None:
    given_one = matrices(seed, 1, rows, columns).double()
    found = orthogonal(given_one)
    assert torch.allclose(orthogonal(size * given_one), found, atol=1e-8)
    assert torch.allclose(orthogonal(given_one.mT).mT, found, atol=1e-8)


def test_nothing_stays_nothing() -> None:
    assert not orthogonal(torch.zeros(2, 3, 5)).any()


# Steps


def test_it_is_torchs_muon_but_for_its_rounding() -> None:
    """Five steps; torch computes the iteration in bfloat16, whose numbers have eight binary digits."""
    mine, theirs, start = parameters(), parameters(), parameters()
    descend(Muon(mine, lr=0.05, weight_decay=0.1), mine, range(5))
    descend(
        torch.optim.Muon(theirs, lr=0.05, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        theirs,
        range(5),
    )
    for one, other, first in zip(mine, theirs, start, strict=True):
        moved = float((other - first).detach().norm())
        assert moved > 0.1
        assert float((one - other).detach().norm()) < 0.02 * moved


def test_an_update_is_about_as_large_as_one_of_adamw() -> None:
    """A root mean square of 0.2 of the learning rate, whatever the shape (arXiv 2502.16982, section 2.2)."""
    trained, before = parameters(), parameters()
    descend(Muon(trained, lr=0.01, weight_decay=0.0), trained, range(1))
    for after, first in zip(trained, before, strict=True):
        size = float((after - first).detach().square().mean().sqrt())
        assert size == pytest.approx(ADAMW_SCALE * 0.01, rel=0.25)


def test_weights_decay_by_the_learning_rate() -> None:
    plain, decayed = parameters(), parameters()
    descend(Muon(plain, lr=0.1, weight_decay=0.0), plain, range(1))
    descend(Muon(decayed, lr=0.1, weight_decay=0.5), decayed, range(1))
    for one, other, first in zip(plain, decayed, parameters(), strict=True):
        assert torch.allclose(one - other, 0.05 * first, atol=1e-5)


def test_the_first_step_follows_the_gradient_and_momentum_the_steps_before() -> None:
    weight = nn.Parameter(torch.zeros(4, 4))
    optimiser = Muon([weight], lr=1.0, weight_decay=0.0)
    weight.grad = torch.eye(4)
    optimiser.step()
    first = -weight.detach().diagonal().clone()
    # Along a gradient of equal singular values every step is the same, and off the diagonal nothing happens.
    assert torch.allclose(first, first[0].expand(4))
    assert float(first[0]) == pytest.approx(ADAMW_SCALE * math.sqrt(4), rel=0.3)
    for _ in range(20):
        optimiser.step()
    before = weight.detach().clone()
    weight.grad = -torch.eye(4)
    optimiser.step()
    # The momentum of the steps before outweighs one gradient the other way.
    assert (weight.detach().diagonal() < before.diagonal()).all()


def test_a_run_goes_on_from_its_state() -> None:
    whole, halves = parameters(), parameters()
    descend(Muon(whole, lr=0.05, weight_decay=0.1), whole, range(6))
    first = Muon(halves, lr=0.05, weight_decay=0.1)
    descend(first, halves, range(4))
    second = Muon(halves, lr=1.0, weight_decay=0.0)
    second.load_state_dict(first.state_dict())
    descend(second, halves, range(4, 6))
    for one, other in zip(whole, halves, strict=True):
        assert torch.equal(one, other)
