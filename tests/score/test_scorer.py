"""Scoring a small suite: rows are derived, scores are kept, incomplete cells are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from sgbench import api
from sgbench.errors import UserError
from sgbench.run.store import Store
from sgbench.score.rows import build_rows
from sgbench.suite.sweep import expand

Write = Callable[..., Path]


def test_rows_hold_settings_costs_scores_and_protocols(tmp_path: Path, suite_file: Write) -> None:
    suite = api.load_suite(suite_file())
    with pytest.raises(UserError, match=r"the first 20 images are not all there.*run the suite again"):
        api.score(suite, tmp_path, device="cpu")
    api.run(suite, tmp_path, device="cpu")
    assert api.score(suite, tmp_path, device="cpu").scored == 3
    assert api.score(suite, tmp_path, device="cpu").scored == 0
    rows = Store(tmp_path, "tiny").read_rows()
    assert rows["guidance"].tolist() == ["cfg", "sg", "sg"]
    assert rows["gamma_weak"].tolist() == [0, 0.5, 0.9]
    assert rows["gflops_per_image"].tolist() == pytest.approx((2 * rows["gmacs_per_image"]).tolist())
    assert rows["gmacs_per_image"].is_monotonic_decreasing
    assert (rows["paper_gmacs_per_image"] < rows["gmacs_per_image"]).all()
    for metric in ("fd", "precision", "recall", "label_agreement"):
        assert rows[metric].notna().all()
        assert rows[f"{metric}_protocol"].nunique() == 1
    assert (rows["fd_se"] > 0).all()
    assert (rows["fd_floor"] > 0).all()
    assert rows["checkpoint_sha256"].str.len().eq(64).all()


def test_rows_can_be_rebuilt_from_the_cells(tmp_path: Path, suite_file: Write) -> None:
    suite = api.load_suite(suite_file(sweep=[{"guidance": "cfg", "scale": 1.5}]))
    api.run(suite, tmp_path, device="cpu")
    api.score(suite, tmp_path, device="cpu")
    store = Store(tmp_path, "tiny")
    written = store.read_rows()
    (store.folder / "rows.csv").unlink()
    store.write_rows(build_rows(expand(suite), store))
    pd.testing.assert_frame_equal(store.read_rows(), written)


def test_scores_of_two_sizes_stand_in_two_rows(tmp_path: Path, suite_file: Write) -> None:
    path = suite_file(samples=30, sweep=[{"guidance": "cfg", "scale": 1.5}])
    for limit in (30, 20):
        suite = api.load_suite(path, limit=limit)
        api.run(suite, tmp_path, device="cpu")
        api.score(suite, tmp_path, device="cpu")
    rows = Store(tmp_path, "tiny").read_rows()
    assert rows["samples"].tolist() == [20, 30]
    assert rows["fd_protocol"].nunique() == 2


def test_damaged_features_are_extracted_again(tmp_path: Path, suite_file: Write) -> None:
    suite = api.load_suite(suite_file(sweep=[{"guidance": "cfg", "scale": 1.5}]))
    api.run(suite, tmp_path, device="cpu")
    api.score(suite, tmp_path, device="cpu")
    store, cell = Store(tmp_path, "tiny"), expand(suite)[0]
    before = store.read_record(cell, "scores")
    stored = next(store.folder.rglob("*.npz"))
    stored.write_bytes(stored.read_bytes()[:-10])
    (store.cell_folder(cell) / "scores.json").unlink()
    assert api.score(suite, tmp_path, device="cpu").scored == 1
    after = store.read_record(cell, "scores")
    assert before is not None
    assert after is not None
    assert after["20"]["fd"]["value"] == before["20"]["fd"]["value"]


def test_images_do_not_depend_on_the_number_of_rows(tmp_path: Path, suite_file: Write) -> None:
    """Common random numbers: two rules start from the same noise and ask for the same classes."""
    from sgbench.sampling.engine import labels_of

    first, second, _ = expand(api.load_suite(suite_file()))
    assert torch.equal(labels_of(first, range(20)), labels_of(second, range(20)))
