"""Scoring a small suite: rows are derived, scores are kept, incomplete cells are refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from sgbench import api
from sgbench.base.errors import UserError
from sgbench.results.rows import read_rows
from sgbench.results.store import Store
from sgbench.score.rows import build_rows
from sgbench.suite.sweep import expand

pytestmark = pytest.mark.slow

Write = Callable[..., Path]


def test_rows_hold_settings_costs_scores_and_protocols(tmp_path: Path, suite_file: Write) -> None:
    suite = api.load_suite(suite_file())
    with pytest.raises(
        UserError, match=r"the first 20 images are not all there.*2 more cells.*run the suite again"
    ) as no:
        api.score_suite(suite, tmp_path, device="cpu")
    assert "are scored" not in str(no.value)
    api.run_suite(suite, tmp_path, device="cpu")
    assert api.score_suite(suite, tmp_path, device="cpu").scored == 3
    assert api.score_suite(suite, tmp_path, device="cpu").scored == 0
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
    api.run_suite(suite, tmp_path, device="cpu")
    api.score_suite(suite, tmp_path, device="cpu")
    store = Store(tmp_path, "tiny")
    written = store.read_rows()
    (store.folder / "rows.csv").unlink()
    store.write_rows(build_rows(expand(suite), store))
    pd.testing.assert_frame_equal(store.read_rows(), written)


def test_scores_of_two_sizes_stand_in_two_rows(tmp_path: Path, suite_file: Write) -> None:
    path = suite_file(samples=30, sweep=[{"guidance": "cfg", "scale": 1.5}])
    for limit in (30, 20):
        suite = api.load_suite(path, limit=limit)
        api.run_suite(suite, tmp_path, device="cpu")
        api.score_suite(suite, tmp_path, device="cpu")
    rows = Store(tmp_path, "tiny").read_rows()
    assert rows["samples"].tolist() == [20, 30]
    assert rows["fd_protocol"].nunique() == 2


def test_damaged_features_are_extracted_again(tmp_path: Path, suite_file: Write) -> None:
    suite = api.load_suite(suite_file(sweep=[{"guidance": "cfg", "scale": 1.5}]))
    api.run_suite(suite, tmp_path, device="cpu")
    api.score_suite(suite, tmp_path, device="cpu")
    store, cell = Store(tmp_path, "tiny"), expand(suite)[0]
    before = store.read_record(cell, "scores")
    stored = next(store.folder.rglob("*.npz"))
    stored.write_bytes(stored.read_bytes()[:-10])
    (store.cell_folder(cell) / "scores.json").unlink()
    assert api.score_suite(suite, tmp_path, device="cpu").scored == 1
    after = store.read_record(cell, "scores")
    assert before is not None
    assert after is not None
    assert after["20"]["fd"]["value"] == before["20"]["fd"]["value"]


def test_scores_of_other_images_are_not_kept(tmp_path: Path, suite_file: Write) -> None:
    """Images that were made again and differ (another device, say) are scored again; lost ones keep their scores."""
    suite = api.load_suite(suite_file(sweep=[{"guidance": "cfg", "scale": 1.5}]))
    api.run_suite(suite, tmp_path, device="cpu")
    api.score_suite(suite, tmp_path, device="cpu")
    store, cell = Store(tmp_path, "tiny"), expand(suite)[0]
    before = store.read_record(cell, "scores")
    shard = store.read_shard(cell, 0)
    assert before is not None
    assert shard is not None
    store.write_shard(
        cell, 0, 255 - shard.images, {k: v for k, v in shard.notes.items() if k not in ("sha256", "images")}
    )
    assert api.score_suite(suite, tmp_path, device="cpu").scored == 1
    after = store.read_record(cell, "scores")
    assert after is not None
    assert after["20"]["fd"]["value"] != before["20"]["fd"]["value"]
    next(store.folder.rglob("00000.npy")).unlink()
    assert api.score_suite(suite, tmp_path, device="cpu").scored == 0


def test_rows_of_another_preset_stay(tmp_path: Path, suite_file: Write) -> None:
    path = suite_file(presets={"other": {"sweep": [{"guidance": "none", "gamma_strong": 0.5}]}})
    for preset in (None, "other"):
        suite = api.load_suite(path, preset)
        api.run_suite(suite, tmp_path, device="cpu")
        api.score_suite(suite, tmp_path, device="cpu")
    assert sorted(Store(tmp_path, "tiny").read_rows()["guidance"]) == ["cfg", "none", "sg", "sg"]


@pytest.mark.full
def test_every_embedded_metric_can_be_computed_at_the_minimum(tmp_path: Path, suite_file: Write) -> None:
    """All metrics that the packaged reference can serve, at 20 images."""
    from sgbench.metrics.catalogue import METRICS, MINIMUM

    embedded = [
        key
        for key, metric in METRICS.items()
        if metric.extractor in ("fashion-cnn", "lite0", "home") and metric.needs != "training"
    ]
    assert len(embedded) >= 13
    metrics = [*embedded, "nearest_train"]
    suite = api.load_suite(
        suite_file(
            metrics=metrics, samples=MINIMUM, sweep=[{"guidance": "none"}], sampler={"name": "euler", "steps": 2}
        )
    )
    api.run_suite(suite, tmp_path, device="cpu")
    assert api.score_suite(suite, tmp_path, device="cpu").scored == 1
    (row,) = Store(tmp_path, "tiny").read_rows().to_dict("records")
    for metric in metrics:
        assert math.isfinite(row[metric])
        assert math.isfinite(row[f"{metric}_se"])
    assert row["fd_lite0_floor"] > 0
    assert row["nearest_train_floor"] == pytest.approx(0.531, abs=0.001)


def test_a_cell_without_a_score_does_not_keep_others_from_theirs(tmp_path: Path, suite_file: Write) -> None:
    suite = api.load_suite(suite_file())
    api.run_suite(suite, tmp_path, device="cpu")
    store, cells = Store(tmp_path, "tiny"), expand(suite)
    shard = store.read_shard(cells[0], 0)
    assert shard is not None
    notes = {k: v for k, v in shard.notes.items() if k not in ("sha256", "images")}
    store.write_shard(cells[0], 0, shard.images * 0, notes)
    with pytest.raises(UserError) as caught:
        api.score_suite(suite, tmp_path, device="cpu")
    said = str(caught.value)
    assert cells[0].describe() in said
    assert "every pixel of all 20 images is 0: the images are blank" in said
    assert said.endswith("the other 2 are scored.")
    # Their rows are written before that is said.
    assert len(store.read_rows()) == 2
    (missing,) = api.report_suite(suite, tmp_path, tmp_path / "reports").missing
    assert missing.startswith("1 of 3 cells have no scores")
    assert store.read_record(cells[0], "scores") is None
    assert all(store.read_record(cell, "scores") for cell in cells[1:])


def test_a_full_disk_under_features_is_one_sentence(
    tmp_path: Path, suite_file: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sgbench.results import verified_files as storing

    suite = api.load_suite(suite_file())
    api.run_suite(suite, tmp_path, device="cpu")
    write = storing.write_atomic
    tried = []

    def full(path: Path, payload: bytes) -> None:
        if path.suffix == ".npz":
            tried.append(path)
            raise OSError(28, "No space left on device")
        write(path, payload)

    monkeypatch.setattr(storing, "write_atomic", full)
    with pytest.raises(UserError, match=r"00000.npz: the file could not be written \(No space left on device\)"):
        api.score_suite(suite, tmp_path, device="cpu")
    # The other cells are not extracted in vain.
    assert len(tried) == 1
    monkeypatch.setattr(storing, "write_atomic", write)
    assert api.score_suite(suite, tmp_path, device="cpu").scored == 3


def test_features_of_another_way_of_feeding_are_not_used(
    tmp_path: Path, suite_file: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sgbench.metrics.extractors import EXTRACTORS

    suite = api.load_suite(suite_file(metrics=["fd"], sweep=[{"guidance": "cfg", "scale": 1.5}]))
    api.run_suite(suite, tmp_path, device="cpu")
    api.score_suite(suite, tmp_path, device="cpu")
    monkeypatch.setitem(EXTRACTORS, "fashion-cnn", replace(EXTRACTORS["fashion-cnn"], inputs="otherwise"))
    with pytest.raises(UserError, match="the reference was made with other weights of fashion-cnn"):
        api.score_suite(suite, tmp_path, device="cpu")


def test_images_of_another_size_than_the_references_are_refused(
    tmp_path: Path, suite_file: Write, image_folder: Callable[..., Path]
) -> None:
    reference = str(image_folder("real", side=48))
    suite = api.load_suite(suite_file(metrics=["fd_lite0"], reference=reference))
    api.run_suite(suite, tmp_path, device="cpu")
    with pytest.raises(UserError, match="the images are 32 x 32 pixels, and those of the reference real 48 x 48"):
        api.score_suite(suite, tmp_path, device="cpu")


def test_a_report_says_which_cells_lack_a_score(tmp_path: Path, suite_file: Write) -> None:
    path = suite_file(metrics=["fd"])
    api.run_suite(api.load_suite(path), tmp_path, device="cpu")
    api.score_suite(api.load_suite(path), tmp_path, device="cpu")
    fewer = suite_file(metrics=["fd", "kd"], sweep=[{"guidance": "cfg", "scale": 1.5}])
    api.score_suite(api.load_suite(fewer), tmp_path, device="cpu")
    both = api.load_suite(suite_file(metrics=["fd", "kd"]))
    (missing,) = api.report_suite(both, tmp_path, tmp_path / "reports").missing
    assert missing.startswith("2 of 3 cells have no score of KD[fashion-cnn]: ")
    # And scores that were made for another suite's metrics stay out of this one's tables.
    page = api.report_suite(api.load_suite(suite_file(metrics=["fd"])), tmp_path, tmp_path / "reports").page
    assert "KD[" not in page.read_text()


def test_features_are_made_once_and_shared_by_smaller_runs(
    tmp_path: Path, suite_file: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sgbench.metrics.extract import Loaded

    path = suite_file(samples=30, sweep=[{"guidance": "cfg", "scale": 1.5}])
    api.run_suite(api.load_suite(path), tmp_path, device="cpu")
    api.score_suite(api.load_suite(path), tmp_path, device="cpu")

    def again(*arguments: object) -> None:
        raise AssertionError("features were made again")

    monkeypatch.setattr(Loaded, "__call__", again)
    assert api.score_suite(api.load_suite(path, limit=20), tmp_path, device="cpu").scored == 1


@pytest.mark.full
def test_features_made_beside_a_run_are_those_of_the_scoring_pass(tmp_path: Path, suite_file: Write) -> None:
    """As a run on a GPU leaves the CPU idle: shards go to a second thread as they are finished."""
    from sgbench.score.background_features import BackgroundFeatures, idle_device

    cpu = torch.device("cpu")
    assert idle_device(cpu) is None
    # The second process knows packaged models alone.
    model, sampler = "fashion-routing", {"name": "euler", "steps": 1}
    metrics, sweep = ["fd", "fd_lite0", "recall"], [{"guidance": "none", "gamma_strong": [0, 0.5]}]
    path = suite_file(model=model, sampler=sampler, metrics=metrics, sweep=sweep)
    suite = api.load_suite(path)
    for name in ("beside", "after"):
        store = Store(tmp_path / name, "tiny")
        if name == "beside":
            with BackgroundFeatures(suite, store, cpu) as beside:
                api.run_suite(suite, tmp_path / name, device="cpu", on_shard=beside)
                assert beside.worker.stdin is not None
                beside.worker.stdin.close()
                assert beside.worker.wait() == 0
            assert len(list(store.folder.rglob("*.npz"))) == 2 * 2
        else:
            api.run_suite(suite, tmp_path / name, device="cpu")
        api.score_suite(suite, tmp_path / name, device="cpu")
    columns = ["fd", "fd_lite0", "recall", "fd_replicates"]
    rows = [Store(tmp_path / name, "tiny").read_rows()[columns] for name in ("beside", "after")]
    pd.testing.assert_frame_equal(*rows)


def test_bench_misses_a_reference_before_it_draws(
    tmp_path: Path, suite_file: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = api.load_suite(suite_file(metrics=["fd_lite0"], reference="no/where"))
    with pytest.raises(UserError, match="there is no reference at no/where"):
        api.bench_suite(suite, tmp_path / "results", tmp_path / "reports", device="cpu")
    assert not list(tmp_path.rglob("*.npy"))


def test_digests_that_look_like_numbers_stay_text(tmp_path: Path) -> None:
    store = Store(tmp_path, "s")
    whole = read_rows(Path(__file__).parents[1] / "results" / "rows" / "schema-4.csv").iloc[:1]
    store.write_rows(whole.assign(cell="0000000000000012", fd_protocol="1234567890e1", fd=0.5))
    rows = store.read_rows()
    assert rows["fd_protocol"].tolist() == ["1234567890e1"]
    assert rows["cell"].tolist() == ["0000000000000012"]
    assert rows["fd"].tolist() == [0.5]
