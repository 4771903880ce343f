"""Time, memory and energy readings."""

from __future__ import annotations

import mmap

import pytest
import torch

from sgbench.cost.measured import EnergyMeter, peak_bytes, reset_peak, summarise, timed

CPU = torch.device("cpu")


def test_timed_returns_the_result_and_a_positive_time() -> None:
    result, seconds = timed(lambda: sum(range(1000)), CPU)
    assert result == 499500
    assert seconds > 0


def test_summary_is_median_and_quartiles() -> None:
    assert summarise([1.0, 2.0, 3.0, 4.0, 100.0]) == (3.0, 2.0, 4.0, 5)


def test_peak_memory_sees_a_large_tensor() -> None:
    reset_peak(CPU)
    before = peak_bytes(CPU)
    if before is None:
        pytest.skip("this system does not tell a process's peak memory")
    # Pages of its own: a tensor might be put into memory that is resident already.
    with mmap.mmap(-1, 64 * 2**20) as pages:
        pages.write(b"1" * len(pages))
    after = peak_bytes(CPU)
    assert after is not None
    assert after - before > 32 * 2**20


def test_no_energy_is_claimed_for_a_cpu() -> None:
    assert EnergyMeter(CPU).joules() is None


@pytest.mark.cuda
def test_cuda_time_memory_and_energy() -> None:
    device = torch.device("cuda")
    reset_peak(device)
    meter = EnergyMeter(device)
    before = meter.joules()
    matrix = torch.randn(2048, 2048, device=device)
    _, seconds = timed(lambda: [matrix @ matrix for _ in range(50)], device)
    assert seconds > 0
    assert (peak_bytes(device) or 0) >= 2048 * 2048 * 4
    after = meter.joules()
    if before is not None and after is not None:
        assert after >= before
