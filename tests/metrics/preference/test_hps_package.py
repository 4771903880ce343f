"""The package hpsv2 in its own process, end to end, and the native scorer against it on the same weights."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sgbench.base.errors import UserError
from sgbench.metrics.judges.catalogue import JUDGES
from sgbench.metrics.preference import cosine, worker
from sgbench.metrics.preference.cosine import Config
from sgbench.metrics.preference.environments import check_installed

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
    monkeypatch.setattr(cosine, "published", lambda model: config)
    with worker.load(JUDGES["hpsv2-package"], [checkpoint, small], CPU) as package:
        theirs = package(*kept)
    ours = cosine.load_hps(JUDGES["hpsv2.1"], [checkpoint], CPU)(*kept)
    assert np.abs(ours - theirs).max() < 1e-6
    assert np.ptp(theirs) > 0.05
    # Nothing was written beside the package, nor into the user's home.
    assert sorted(path for path in source.rglob("*") if "__pycache__" not in path.parts) == before
    assert [path.name for path in tmp_path.iterdir()] == ["ViT-H-14.json"]


def test_a_package_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = replace(JUDGES["hpsv2-package"], packages=("hpsv2_not_there", "json", "clint_not_there"))
    monkeypatch.setitem(JUDGES, "hpsv2-package", odd)
    with pytest.raises(
        UserError, match=r"hpsv2_not_there and clint_not_there, which are not installed; pip install --no"
    ):
        check_installed("hpsv2-package", "here")
