"""The closed form is fvcore's count at sizes that no letter has, for every family."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgbench.cells.closed_form import call_macs
from sgbench.cost.macs import count_call
from sgbench.models import catalogue
from sgbench.models.families import FAMILIES
from sgbench.models.spec import from_fields
from sgbench.networks.denoiser import build
from tests.own_sizes import SHAPED, recorded_configs


def counted(fields: dict[str, Any], gamma: float) -> None:
    record = catalogue.entry(from_fields({**fields, "weights": "random"}, "model").text()).architecture
    # Raises where the two differ by more than 0.1 %.
    found, stated = count_call(build(record).eval(), gamma), call_macs(record, gamma)
    assert found.macs == pytest.approx(stated.macs, rel=1e-3)
    assert found.paper == pytest.approx(stated.paper, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("family", SHAPED)
@settings(max_examples=4, deadline=None)
@given(
    depth=st.integers(6, 9),
    heads=st.integers(1, 3),
    patch=st.sampled_from([1, 2, 3]),
    classes=st.integers(1, 30),
    channels=st.integers(1, 17),
    side=st.integers(2, 4),
    gamma=st.floats(0, 0.95),
)
def test_sizes_of_their_own(family: str, depth: int, gamma: float, side: int, **drawn: int) -> None:
    # MDTv2 has two halves around a decoder of four blocks.
    shape = {"depth": depth - depth % 2, "width": 12 * drawn["heads"], **drawn, "latent_side": side * drawn["patch"]}
    counted({"family": family, **{k: v for k, v in shape.items() if k in FAMILIES[family].keys}}, gamma)


@pytest.mark.slow
@pytest.mark.parametrize("family", recorded_configs())
def test_published_configs(family: str) -> None:
    for config in recorded_configs()[family]:
        for gamma in (0.0, 0.6):
            counted({"family": family, "config": config}, gamma)
