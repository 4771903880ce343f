"""Counts: fvcore against the closed form, and the closed form against the paper's printed figures."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sgbench.cells.cell import Cell
from sgbench.cells.closed_form import call_macs, image_macs, kept_macs
from sgbench.cells.program import call_counts
from sgbench.conformance.rule_settings import LAYERS, settings_of
from sgbench.cost import macs
from sgbench.guidance import RULES
from sgbench.guidance.perturbation import Perturbation
from sgbench.guidance.settings import Guidance
from sgbench.guidance.subset_rules import kept_tokens
from sgbench.models.architecture import Macs
from sgbench.models.families.dit import DiTArchitecture
from sgbench.models.families.maskdit import MaskDiTArchitecture
from sgbench.networks.denoiser import build
from sgbench.samplers.settings import Sampler

# DiT-XL/2 with four output channels and the paper's route of 23 blocks, 2..24.
XL = DiTArchitecture(
    input_size=32, patch_size=2, in_channels=4, out_channels=4, hidden_size=1152, depth=28, num_heads=16,
    num_classes=1000, routes=((2, 24),),
)  # fmt: skip


def test_paper_convention_gives_table_2_of_the_paper() -> None:
    """arXiv 2601.01608, Table 2: unguided 114.42, CFG 228.84, SG at 0.5 / 0.9 97.67 GMACs per step."""
    dense = call_macs(XL, 0).paper / 1e9
    assert dense == pytest.approx(114.42, abs=0.005)
    assert 2 * dense == pytest.approx(228.84, abs=0.005)
    assert (call_macs(XL, 0.5).paper + call_macs(XL, 0.9).paper) / 1e9 == pytest.approx(97.67, abs=0.015)


def test_full_convention_gives_fvcores_count_of_xl() -> None:
    """fvcore with unfused attention counts 118.68 GMACs for DiT-XL/2."""
    assert call_macs(XL, 0).macs / 1e9 == pytest.approx(118.68, abs=0.01)


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(
    width=st.sampled_from([16, 24]),
    depth=st.integers(2, 4),
    gamma=st.floats(0, 0.95),
    masked=st.booleans(),
    channels=st.integers(1, 3),
)
def test_fvcore_counts_the_closed_form(width: int, depth: int, gamma: float, masked: bool, channels: int) -> None:
    sizes = {"input_size": 8, "patch_size": 2, "in_channels": channels, "hidden_size": width, "depth": depth}
    sizes |= {"num_heads": 2, "num_classes": 5}
    architecture = (
        MaskDiTArchitecture(**sizes, decoder_hidden_size=8, decoder_depth=1, decoder_num_heads=2)
        if masked
        else DiTArchitecture(**sizes, out_channels=channels, routes=((1, depth - 1),))
    )
    assert macs.count_call(build(architecture).eval(), gamma) == call_macs(architecture, gamma)


def test_an_operator_that_fvcore_cannot_count_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(macs, "ALLOWED", macs.ALLOWED - {"aten::gelu"})
    small = DiTArchitecture(
        input_size=4,
        patch_size=2,
        in_channels=1,
        out_channels=1,
        hidden_size=8,
        depth=1,
        num_heads=1,
        num_classes=2,
    )
    with pytest.raises(macs.MiscountError, match=r"cannot count aten::gelu"):
        macs.count_call(build(small).eval(), 0)


def test_disagreement_with_the_closed_form_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(macs, "kept_macs", lambda *call: kept_macs(*call).times(2))
    small = DiTArchitecture(
        input_size=4,
        patch_size=2,
        in_channels=1,
        out_channels=1,
        hidden_size=8,
        depth=1,
        num_heads=1,
        num_classes=2,
    )
    with pytest.raises(macs.MiscountError, match="the closed form"):
        macs.count_call(build(small).eval(), 0)


@given(grid=st.integers(1, 4096), gamma=st.floats(0, 1, exclude_max=True))
def test_kept_tokens_never_vanish_and_fall_with_gamma(grid: int, gamma: float) -> None:
    kept = kept_tokens(grid, gamma)
    assert 1 <= kept <= grid
    assert kept == grid - int(grid * gamma)


def test_a_cell_costs_the_sum_of_its_calls() -> None:
    cell = Cell("fashion-routing", Guidance("sg", 2.0, 0.3, 0.9), Sampler("euler", 7), 0, "balanced", "float32")
    (strong, strong_times), (weak, weak_times) = call_counts(cell)
    assert (strong.gamma, weak.gamma, strong_times, weak_times) == (0.3, 0.9, 7, 7)
    from sgbench.models import catalogue

    architecture = catalogue.entry("fashion-routing").architecture
    expected = 7 * (call_macs(architecture, 0.3).macs + call_macs(architecture, 0.9).macs)
    assert image_macs(cell).macs == expected


# On other devices

PERTURBED = [
    branch.perturbation.of(LAYERS, settings_of(rule).numbers)
    for rule in RULES.values()
    for branch in rule.branches
    if branch.perturbation is not None
]


def on_device(perturbation: Perturbation, device: str) -> Macs:
    small = DiTArchitecture(
        input_size=8, patch_size=2, in_channels=1, out_channels=1, hidden_size=8, depth=4, num_heads=1, num_classes=2
    )
    return macs.count_kept(build(small).eval().to(device), 16, perturbation)


@pytest.mark.cuda
@pytest.mark.parametrize("perturbation", PERTURBED, ids=lambda p: p.name)
def test_cuda_counts_what_the_processor_counts(perturbation: Perturbation) -> None:
    assert on_device(perturbation, "cuda") == on_device(perturbation, "cpu")


@pytest.mark.parametrize("perturbation", PERTURBED, ids=lambda p: p.name)
def test_nothing_of_a_counted_call_is_left_on_the_processor(
    perturbation: Perturbation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the meta device, where torch runs a call as it would on CUDA, and fvcore cannot trace one."""
    expected, outputs = on_device(perturbation, "cpu"), []

    def called(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...], at: str = "") -> Macs:
        outputs.append(model(*inputs))
        return expected

    monkeypatch.setattr(macs, "_trace", called)
    on_device(perturbation, "meta")
    assert outputs[0].is_meta
