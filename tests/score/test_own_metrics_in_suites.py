"""Metrics of a user's own file from the suite to the report, which runs no code of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sgbench import api
from sgbench.base import user_code
from sgbench.base.errors import UserError
from sgbench.base.registry import REGISTRIES
from sgbench.metrics.extractors import EXTRACTORS
from sgbench.metrics.scores import METRICS
from sgbench.results.store import Store
from sgbench.suite.own_code import bring_packed, packed_own
from sgbench.suite.sweep import expand

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_code", "own_cache")]

OWN = """
from sgbench.metrics.instrument import Extractor
from sgbench.metrics.metric import ImageMetric


def contrast(images):
    "Deviation of the levels of an image."
    return images.std(axis=(1, 2, 3))


def load(files, device):
    return lambda images: images.unflatten(2, (4, -1)).unflatten(4, (4, -1)).mean(dim=(3, 5)).flatten(1)


METRIC = ImageMetric("contrast", "contrast", "higher", values=contrast)
EXTRACTOR = Extractor("blocks", side=32, channels=1, range="0..1", widths={"features": 16}, load=load)
"""
METRICS_KEY = ["mine.py:METRIC", "fd@mine.py:EXTRACTOR", "kd@mine.py:EXTRACTOR"]
Write = Callable[..., Path]


@pytest.fixture
def suite(suite_file: Write, tmp_path: Path) -> Path:
    """A suite with metrics of its own, whose real images are a folder's."""
    rng = np.random.default_rng(0)
    real = rng.integers(0, 256, (40, 32, 32, 1)) // rng.integers(1, 5, (40, 1, 1, 1))
    np.savez(tmp_path / "real.npz", arr_0=real.astype(np.uint8))
    (tmp_path / "mine.py").write_text(OWN)
    sweep = [{"guidance": "none", "gamma_strong": 0}, {"guidance": "cfg", "scale": [1.5, 2]}]
    return suite_file(metrics=METRICS_KEY, reference=str(tmp_path / "real.npz"), sweep=sweep)


def forget() -> None:
    """As a process that has not seen the file."""
    for registry in REGISTRIES:
        for name in list(registry.origins):
            del registry[name], registry.origins[name]


def test_from_the_suite_to_the_report_and_again_without_its_code(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, reports = tmp_path / "results", tmp_path / "reports"
    loaded = api.load_suite(suite)
    assert loaded.metrics == ["contrast", "fd_blocks", "kd_blocks"]
    assert [one.name for one in loaded.own] == ["contrast", "fd_blocks", "blocks", "kd_blocks"]
    api.bench_suite(loaded, results, reports)
    store = Store(results, "tiny")
    rows = store.read_rows()
    for cell, contrast, error in zip(expand(loaded), rows["contrast"], rows["contrast_se"], strict=True):
        shard = store.read_shard(cell, 0)
        assert shard is not None
        each = shard.images.std(axis=(1, 2, 3))
        assert contrast == pytest.approx(each.mean())
        assert error == pytest.approx(each.std(ddof=1) / np.sqrt(len(each)))
    assert rows["fd_blocks"].gt(0).all()
    assert rows["fd_blocks_corrected"].notna().all()
    assert set(rows["contrast_protocol"]) <= set(store.read_protocols())
    table = (reports / "tiny" / "table.md").read_bytes()
    assert all(text in table.decode() for text in ("contrast", "FD[blocks]", "KD[blocks]", "Deviation of the levels"))
    assert any("fd_blocks" in path.name for path in (reports / "tiny").glob("frontier-*"))
    digest = METRICS.origin("contrast").sha256
    assert digest[:12] in table.decode()

    def refuse(*_: object) -> None:
        raise AssertionError("code was run")

    forget()
    shutil.rmtree(reports)
    monkeypatch.setattr(user_code, "_run", refuse)
    recorded = api.load_suite(suite, recorded=results)
    assert recorded.metrics == loaded.metrics
    api.report_suite(recorded, results, reports)
    assert (reports / "tiny" / "table.md").read_bytes() == table
    assert METRICS.origin("fd_blocks").closed
    assert EXTRACTORS.origin("blocks").closed
    with pytest.raises(UserError, match="known from a record of results alone"):
        EXTRACTORS["blocks"].load([], None)  # type: ignore[arg-type]


def test_scores_are_kept_until_the_code_changes(suite: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    api.run_suite(api.load_suite(suite), results, device="cpu")
    assert api.score_suite(api.load_suite(suite), results, device="cpu").scored == 3
    assert api.score_suite(api.load_suite(suite), results, device="cpu").scored == 0
    suite.with_name("mine.py").write_text(OWN.replace("images.std", "2 * images.std"))
    before = Store(results, "tiny").read_rows()["contrast"]
    assert api.score_suite(api.load_suite(suite), results, device="cpu").scored == 3
    after = Store(results, "tiny").read_rows()["contrast"]
    assert after.tolist() == pytest.approx((2 * before).tolist())


def test_a_suite_of_metrics_of_the_images_alone_needs_no_reference(suite_file: Write, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    sweep = [{"guidance": "cfg", "scale": [1.5, 2]}]
    suite = api.load_suite(suite_file(metrics=["mine.py:METRIC"], reference=None, sweep=sweep))
    done = api.bench_suite(suite, tmp_path / "results", tmp_path / "reports")
    assert done["score"]["scored"] == 2
    with pytest.raises(UserError, match="fd_blocks needs a reference"):
        api.load_suite(suite_file(metrics=METRICS_KEY, reference=None, sweep=sweep))


def test_other_machines_get_the_files(suite: Path, tmp_path: Path) -> None:
    own = api.load_suite(suite).own
    packed = packed_own(own)
    forget()
    (tmp_path / "mine.py").unlink()
    bring_packed(packed, tmp_path / "there")
    assert {"contrast", "fd_blocks", "kd_blocks"} <= set(METRICS)
    assert METRICS["fd_blocks"].extractor in EXTRACTORS


@pytest.mark.parametrize("metric", ["fd@mine.py:EXTRACTOR", "fid"])
def test_a_reference_without_features_of_the_extractor_is_refused_before_any_image(
    metric: str, suite_file: Write, tmp_path: Path
) -> None:
    """The packaged one has no images to make them of, and drawn shapes have."""
    (tmp_path / "mine.py").write_text(OWN)
    given, name = ("mine.py:EXTRACTOR", "blocks") if "@" in metric else ("inception", "inception")
    sweep = [{"guidance": "none", "gamma_strong": 0}]
    with pytest.raises(UserError) as refused:
        api.load_suite(suite_file(metrics=[metric], reference="fashion-mnist", sweep=sweep))
    said = f"measured in the extractor {name}, of which the reference fashion-mnist has no features; write"
    assert said in str(refused.value)
    assert f"sgbench reference build IMAGES --extractors {given} --out FOLDER" in str(refused.value)
    api.load_suite(suite_file(metrics=[metric], reference="shapes", sweep=sweep))
