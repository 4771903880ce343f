"""The package hpsv2 in its own process, end to end, and the native scorer against it on the same weights."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from sgbench.base.errors import UserError
from sgbench.metrics.preference import hps, hps_package
from sgbench.metrics.preference.cosine import Config
from sgbench.metrics.preference.scorer import load_scorer

installed = pytest.mark.skipif(importlib.util.find_spec("hpsv2") is None, reason="hpsv2 is not installed")
CPU = torch.device("cpu")
Pairs = tuple[list[np.ndarray], list[str]]


@pytest.mark.full
@installed
def test_native_scores_are_the_packages(
    checkpoint: Path, config: Config, pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.find_spec("hpsv2")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).parent
    before = sorted(path for path in source.rglob("*") if "__pycache__" not in path.parts)
    monkeypatch.setenv("HOME", str(tmp_path))
    small = tmp_path / "ViT-H-14.json"
    small.write_text(json.dumps(config))
    # Without the sizes that the package cannot take: one it pads nothing for, one that vanishes.
    keep = [i for i, image in enumerate(pairs[0]) if image.shape[:2] not in ((37, 224), (1, 600))]
    kept = [pairs[0][i] for i in keep], [pairs[1][i] for i in keep]
    theirs = load_scorer("hpsv2-package", [checkpoint, small], CPU)(*kept)
    ours = hps.load("hpsv2.1", checkpoint, CPU, config)(*kept)
    assert np.abs(ours - theirs).max() < 1e-6
    assert np.ptp(theirs) > 0.05
    # Nothing was written beside the package, nor into the user's home.
    assert sorted(path for path in source.rglob("*") if "__pycache__" not in path.parts) == before
    assert [path.name for path in tmp_path.iterdir()] == ["ViT-H-14.json"]


def test_a_package_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hps_package, "PACKAGES", ("hpsv2_not_there", "json", "clint_not_there"))
    with pytest.raises(
        UserError, match=r"hpsv2_not_there and clint_not_there are not installed; run `pip install --no"
    ):
        load_scorer("hpsv2-package", [], CPU)
