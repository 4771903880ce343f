"""How often a finished tree is read when there is nothing to do."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from sgbench import api

pytestmark = pytest.mark.slow

SUITE = """
suite: s
title: s
seed: 3
samples: 24
reference: fashion-mnist
metrics: [fd]
model: fashion-tiny
sampler: {name: euler, steps: 1}
sweep: [{guidance: none}, {guidance: cfg, scale: 2}]
"""


def test_a_second_run_reads_every_file_once_and_loads_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SUITE)
    suite = api.load_suite(path)
    api.run_suite(suite, tmp_path / "results", device="cpu")
    api.score_suite(suite, tmp_path / "results", device="cpu")
    read: Counter[str] = Counter()
    real = Path.read_bytes

    def counting(self: Path) -> bytes:
        read[self.name] += 1
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", counting)
    monkeypatch.setattr("sgbench.run.worker.load_networks", None)
    assert api.run_suite(suite, tmp_path / "results", device="cpu").images_made == 0
    shards = {name: count for name, count in read.items() if name.endswith(".npy")}
    assert shards == {"00000.npy": 2}
    assert read["cell.json"] == read["cost.json"] == read["gallery.png"] == 2
    read.clear()
    assert api.score_suite(suite, tmp_path / "results", device="cpu").scored == 0
    # Every shard once: its digest, and that of its pixels, which the scores name. No features.
    assert read["00000.npy"] == 2
    assert not [name for name in read if name.endswith(".npz")]
