"""Fixtures that tests of images, metrics and scores share: features, image folders, random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sgbench.metrics import weights

Features = Callable[..., np.ndarray]


@pytest.fixture
def features() -> Features:
    """Correlated Gaussian features by (seed, count); float32."""

    def make(seed: int, count: int, width: int = 12, shift: float = 0.0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        mixing = np.random.default_rng(99).normal(size=(width, width))
        return (rng.normal(size=(count, width)) @ mixing + shift).astype(np.float32)

    return make


@pytest.fixture
def image_folder(tmp_path: Path) -> Callable[..., Path]:
    """A folder of random images by (name, count, side, channels, suffix)."""

    def make(
        name: str, count: int = 24, side: int = 32, channels: int = 3, suffix: str = ".png", seed: int = 0
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        rng = np.random.default_rng(seed)
        for index in range(count):
            pixels = rng.integers(0, 256, size=(side, side, channels), dtype=np.uint8)
            Image.fromarray(pixels.squeeze(-1) if channels == 1 else pixels).save(folder / f"{index}{suffix}")
        return folder

    return make


@pytest.fixture(scope="session")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in the layout of torch-fidelity's file, the norms moved so that no part is silent."""
    from torch import nn

    from sgbench.metrics.extractors.inception import network_layers

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.ModuleDict(network_layers())
        for name, value in network.state_dict().items():
            if name.endswith(("running_mean", "bn.bias")):
                value.normal_(0, 0.1)
            if name.endswith("conv.weight"):
                nn.init.kaiming_normal_(value)
    path = tmp_path_factory.mktemp("inception") / "weights-inception-2015-12-05-6726825d.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def random_inception(inception_file: Path, any_digest: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Those weights where the project looks for Inception, with the expected digest left open."""
    monkeypatch.setenv("SGBENCH_WEIGHTS", str(inception_file.parent))
    return inception_file


@pytest.fixture
def any_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the digests of public weights open, so that random ones are taken."""
    expect(monkeypatch, "")


def expect(monkeypatch: pytest.MonkeyPatch, sha256: str) -> None:
    """Let every file of public weights have this digest; an empty one fits any file."""
    entries = {
        name: e if e.packaged else e._replace(files=tuple(f._replace(sha256=sha256) for f in e.files))
        for name, e in weights.known().items()
    }
    monkeypatch.setattr(weights, "known", lambda: entries)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Features of references are kept in a folder of the test's own."""
    monkeypatch.setenv("SGBENCH_MODELS", str(tmp_path_factory.mktemp("models")))
