"""The plan: what is there is not planned again, and the estimate says where it comes from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sgbench import api

pytestmark = pytest.mark.slow


def test_plan_counts_what_is_left(
    tmp_path: Path, suite_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = api.load_suite(suite_file())
    before = api.make_plan(suite, tmp_path)
    assert (before.images, before.images_kept) == (60, 0)
    assert before.gmacs == pytest.approx(sum(20 * c.gmacs_per_image for c in before.cells))
    assert "measured within a day" in before.rate_basis
    assert before.bytes == 60 * 32 * 32
    api.run_suite(suite, tmp_path, device="cpu")
    monkeypatch.setenv("SGBENCH_PACE", str(tmp_path / "absent.json"))
    unmeasured = api.make_plan(api.load_suite(suite_file(), limit=20), tmp_path / "none")
    assert "a default" in unmeasured.rate_basis
    after = api.make_plan(suite, tmp_path)
    assert after.images_kept == 60
    assert after.gmacs == after.seconds == 0
    assert "measured earlier" in after.rate_basis


def test_plan_predicts_the_macs_that_the_run_counts(tmp_path: Path, suite_file: Callable[..., Path]) -> None:
    from sgbench.results.store import Store

    suite = api.load_suite(suite_file())
    plan = api.make_plan(suite, tmp_path)
    api.run_suite(suite, tmp_path, device="cpu")
    for planned in plan.cells:
        cost = Store(tmp_path, "tiny").read_record(planned.cell, "cost")
        assert cost is not None
        assert cost["macs_per_image"] == pytest.approx(planned.gmacs_per_image * 1e9, rel=1e-3)
        assert cost["paper_per_image"] == pytest.approx(planned.paper_gmacs_per_image * 1e9, rel=1e-3)
