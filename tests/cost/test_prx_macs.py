"""PRX: fvcore's count of diffusers' own network against the closed form."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sgbench.cost import macs
from sgbench.models.families.prx import PRXArchitecture
from sgbench.networks.prx import random_prx

pytestmark = pytest.mark.slow

pytest.importorskip("diffusers", reason="the extra hf is not installed")
# The published model of 1.2 billion parameters at 512 pixels, with the route of its training code.
PRX_512 = PRXArchitecture(
    input_size=64, patch_size=2, in_channels=16, hidden_size=1792, depth=16, num_heads=28, mlp_ratio=3.5,
    caption_channels=2304, routes=((2, 12),),
)  # fmt: skip


@settings(max_examples=10, deadline=None)
@given(
    depth=st.integers(2, 3),
    kept=st.integers(1, 16),
    channels=st.integers(1, 3),
    words=st.integers(1, 9),
    bottleneck=st.none() | st.integers(1, 9),
    told=st.booleans(),
)
def test_fvcore_counts_the_closed_form(
    depth: int, kept: int, channels: int, words: int, bottleneck: int | None, told: bool
) -> None:
    a = PRXArchitecture(
        input_size=8, patch_size=2, in_channels=channels, hidden_size=64, depth=depth, num_heads=4, mlp_ratio=2.6,
        caption_channels=10, caption_tokens=words, axes_dim=(8, 8), bottleneck_size=bottleneck,
        resolution_embeds=told, routes=((1, depth - 1),),
    )  # fmt: skip
    sample, time, caption = torch.zeros(1, channels, 8, 8), torch.tensor([0.5]), torch.zeros(1, words, 10)
    counted = macs._trace(random_prx(a).eval(), (sample, time, caption, torch.arange(kept).unsqueeze(0)))
    stated = a.call_macs(kept)
    assert (counted.attention, counted.normalised) == (stated.attention, stated.normalised)
    # fvcore counts one multiply-accumulate per pixel for the einsum that only reorders patches.
    assert counted.linear == stated.linear + channels * 8 * 8
    assert counted.macs == pytest.approx(stated.macs, rel=macs.TOLERANCE)
    assert counted.paper == pytest.approx(stated.paper, rel=macs.TOLERANCE)


@pytest.mark.parametrize("kept", [1024, 102])
def test_fvcore_counts_the_closed_form_at_the_published_size(kept: int) -> None:
    # Shapes are all that is counted, and a network without numbers needs no memory.
    with torch.device("meta"):
        network = random_prx(PRX_512).eval()
        inputs = torch.empty(1, 16, 64, 64), torch.empty(1), torch.empty(1, 256, 2304)
        tokens = torch.empty(1, kept, dtype=torch.long)
        counted = macs._trace(network, (*inputs, tokens))
    assert sum(parameter.numel() for parameter in network.parameters()) / 1e9 == pytest.approx(1.2, abs=0.1)
    assert counted.macs == pytest.approx(PRX_512.call_macs(kept).macs, rel=macs.TOLERANCE / 100)
    assert counted.paper == pytest.approx(PRX_512.call_macs(kept).paper, rel=macs.TOLERANCE / 100)


@given(kept=st.integers(0, 1024))
def test_fewer_tokens_cost_less_only_inside_the_route(kept: int) -> None:
    sparse, dense = PRX_512.block_macs(kept), PRX_512.block_macs(1024)
    assert [layer for layer in range(16) if sparse[layer] != dense[layer]] == (
        list(range(2, 13)) if kept < 1024 else []
    )
    difference = sum(there.macs - here.macs for there, here in zip(dense, sparse, strict=True))
    assert PRX_512.call_macs(1024).macs - PRX_512.call_macs(kept).macs == difference
