"""Decoding latents with a real, tiny autoencoder in diffusers' layout."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from sgbench import bench_suite, load_suite
from sgbench.base.errors import UserError
from sgbench.cost.macs import count_decoder
from sgbench.models.components import autoencoder_sha256, find_folder
from sgbench.networks.autoencoder import BATCH, decode, load_decoder
from sgbench.results.store import Store
from sgbench.suite.sweep import expand
from tests.stored import stored_images

diffusers = pytest.importorskip("diffusers", reason="the extra hf is not installed")
CPU = torch.device("cpu")
SUITE = """
suite: latent
title: latent
seed: 1
samples: 3
metrics: []
autoencoder: {autoencoder}
model: {{family: tread-sit, size: S/8, resolution: 64, weights: random}}
sampler: {{name: euler, steps: 2}}
sweep:
  - {{guidance: none}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    small = diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
    )
    path = tmp_path_factory.mktemp("vae")
    small.save_pretrained(path)
    return path


@pytest.mark.slow
def test_decoding_in_parts_is_decoding_one_by_one(folder: Path) -> None:
    decoder = load_decoder(str(folder), CPU)
    assert decoder is not None
    latents = torch.randn(BATCH + 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    images = decode(decoder, latents)
    assert images.shape == (BATCH + 1, 3, 64, 64)
    assert torch.allclose(images[-1:], decode(decoder, latents[-1:]), atol=1e-5)


def test_latents_are_scaled_back_before_decoding(folder: Path) -> None:
    decoder = load_decoder(str(folder), CPU)
    assert decoder is not None
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = decoder.autoencoder.decode(latents / 0.18215).sample
    assert torch.allclose(decode(decoder, latents), expected, atol=1e-6)


@pytest.mark.slow
def test_the_cost_of_decoding_grows_with_the_area(folder: Path) -> None:
    decoder = load_decoder(str(folder), CPU)
    assert decoder is not None
    small, large = count_decoder(decoder, (4, 8, 8)), count_decoder(decoder, (4, 16, 16))
    # Convolutions grow by four, the attention in the middle block faster.
    assert 4 * small < large < 5 * small


@pytest.mark.slow
def test_decoding_has_columns_of_its_own(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SUITE.format(autoencoder=folder))
    suite = load_suite(path)
    bench_suite(suite, tmp_path / "results", tmp_path / "reports")
    store = Store(tmp_path / "results", "latent")
    row = store.read_rows().iloc[0]
    assert row["decode_gmacs_per_image"] > 0
    assert row["decode_seconds_per_image"] > 0
    assert row["autoencoder_sha256"] == autoencoder_sha256(str(folder))
    # The denoiser's own numbers leave decoding out.
    assert math.isclose(row["gmacs_per_image"], 2 * row["gmacs_per_step"])
    (cell,) = expand(suite)
    images = stored_images(store, cell, 3)
    assert images.shape == (3, 64, 64, 3)
    assert images.dtype == np.uint8


def test_an_autoencoder_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(UserError, match="is not on this machine") as caught:
        load_decoder("nobody/nothing", CPU)
    assert "sgbench models fetch nobody/nothing" in str(caught.value)


def test_a_damaged_autoencoder_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match="cannot be read"):
        load_decoder(str(tmp_path), CPU)


def test_of_several_snapshots_the_hubs_pointer_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    repository = tmp_path / "hub" / "models--some--vae"
    for revision in ("aaa", "zzz"):
        (repository / "snapshots" / revision).mkdir(parents=True)
    (repository / "refs").mkdir()
    assert find_folder("some/other") is None
    (repository / "refs" / "main").write_text("aaa")
    assert find_folder("some/vae") == repository / "snapshots" / "aaa"
