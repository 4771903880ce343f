"""LPIPS against torch-fidelity's on the same random weights, and in a suite: guided against unguided of one seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch_fidelity import sample_similarity_lpips as port
from torchvision.models import vgg16

from sgbench import api
from sgbench.base.errors import UserError
from sgbench.images.sets import QUANTISATION, ImageSetInfo
from sgbench.metrics.catalogue import METRICS
from sgbench.metrics.extractors.lpips import CHANNELS, load, lpips
from sgbench.metrics.metric import PairedMetric
from sgbench.metrics.weights import require
from sgbench.results.store import Store
from sgbench.score.scorer import score_cells
from sgbench.suite.sweep import expand

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of VGG16 and of LPIPS's layers, where the project looks for them."""
    folder = tmp_path_factory.mktemp("lpips")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(vgg16(weights=None).state_dict(), folder / "vgg16-397923af.pth")
        layers = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1) for i, c in enumerate(CHANNELS)}
    torch.save(layers, folder / "weights-vgg16-lpips.pth")
    return folder


@pytest.fixture
def weights(files: Path, any_digest: None, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setenv("SGBENCH_WEIGHTS", str(files))
    return require("lpips")


def pair(count: int, side: int = 32, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 256, (count, side, side, channels), dtype=np.uint8)
    return first, (first // 2 + rng.integers(0, 128, first.shape, dtype=np.uint8)).astype(np.uint8)


@pytest.mark.full
def test_equals_torch_fidelity(weights: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    network = vgg16(weights=None)
    network.load_state_dict(torch.load(weights[0], weights_only=True))
    monkeypatch.setattr(port, "torchvision_load_pretrained_vgg16", lambda: network)

    monkeypatch.setattr(port, "load_state_dict_from_url", lambda *a, **k: torch.load(weights[1], weights_only=True))
    theirs = port.SampleSimilarityLPIPS("oracle")
    first, second = pair(20)
    with torch.inference_mode():
        expected = theirs(*(torch.from_numpy(x).permute(0, 3, 1, 2) for x in (first, second))).flatten().numpy()
    distances = lpips(load(weights, CPU), [first[:3], first[3:]], [second], CPU)
    assert distances == pytest.approx(expected, rel=1e-5)


def test_the_score_is_the_mean_over_pairs(weights: list[Path]) -> None:
    network = load(weights, CPU)
    first, second = pair(20)
    distances = lpips(network, [first], [second], CPU)
    info = ImageSetInfo("a set", 20, "unknown", QUANTISATION, None)
    metric = METRICS["lpips"]
    assert isinstance(metric, PairedMetric)
    found = metric.score(network, [first[:3], first[3:]], [second], info, CPU)
    assert found["value"] == pytest.approx(distances.mean(), rel=1e-5)
    assert found["standard_error"] == pytest.approx(distances.std(ddof=1) / np.sqrt(20), rel=1e-4)
    assert found["distances"] == pytest.approx(distances, abs=2e-5)


def test_an_image_is_at_no_distance_from_itself(weights: list[Path]) -> None:
    first, _ = pair(20, channels=1)
    assert not lpips(load(weights, CPU), [first], [first], CPU).any()


@pytest.mark.full
def test_in_a_suite_guided_cells_are_held_against_the_unguided(
    tmp_path: Path, suite_file: Callable[..., Path], weights: list[Path]
) -> None:
    sweep = [{"guidance": "none", "gamma_strong": [0]}, {"guidance": "cfg", "scale": [1.2, 3]}]
    suite = api.load_suite(suite_file(metrics=["fd", "lpips"], sweep=sweep))
    api.run_suite(suite, tmp_path, device="cpu")
    api.score_suite(suite, tmp_path, device="cpu")
    rows = Store(tmp_path, "tiny").read_rows()
    assert np.isnan(rows["lpips"].iloc[0])
    assert (rows["lpips"].iloc[1:] > 0).all()
    # A stronger scale moves images further.
    assert rows["lpips"].iloc[1] < rows["lpips"].iloc[2]
    assert api.score_suite(suite, tmp_path, device="cpu").scored == 0
    # Other unguided images: every pair is another.
    store, cells = Store(tmp_path, "tiny"), expand(suite)
    shard = store.read_shard(cells[0], 0)
    assert shard is not None
    notes = {k: v for k, v in shard.notes.items() if k not in ("sha256", "images")}
    store.write_shard(cells[0], 0, 255 - shard.images, notes)
    assert api.score_suite(suite, tmp_path, device="cpu").scored == 3
    assert (Store(tmp_path, "tiny").read_rows()["lpips"].iloc[1:] != rows["lpips"].iloc[1:]).all()
    page = api.report_suite(suite, tmp_path, tmp_path / "reports").page.read_text()
    assert "LPIPS to unguided" in page


def test_a_suite_without_the_unguided_cell_is_refused(suite_file: Callable[..., Path]) -> None:
    with pytest.raises(
        UserError, match=r"sweep: lpips compares fashion-tiny cfg w=1.5 2 steps with .*none 2 steps, which"
    ):
        api.load_suite(suite_file(metrics=["fd", "lpips"]))


def test_missing_weights_stop_the_pass_at_once(tmp_path: Path, suite_file: Callable[..., Path]) -> None:
    sweep = [{"guidance": "none", "gamma_strong": 0}, {"guidance": "cfg", "scale": 1.5}]
    suite = api.load_suite(suite_file(metrics=["fd", "lpips"], sweep=sweep))
    with pytest.raises(UserError, match="the weights of lpips are missing"):
        score_cells(expand(suite), suite, Store(tmp_path, "tiny"), CPU, api.Silent())
