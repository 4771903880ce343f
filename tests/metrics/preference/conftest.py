"""Networks with the geometry of the real ones (224 pixels, patches of 14, 77 tokens) and hardly any width or depth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch

from sgbench.metrics.preference.cosine import Config

VISION = {"image_size": 224, "layers": 2, "width": 80, "head_width": 20, "patch_size": 14}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
CONFIG: Config = {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT}
# Longest and shortest sides at, above and below 224, odd differences, a side that scales below one pixel.
SIZES = [(224, 224), (64, 64), (100, 40), (37, 224), (512, 768), (301, 225), (333, 500), (1, 600)]
PROMPTS = [
    "a red cube",
    "two blue spheres to the left of a green cone, studio light, 35 mm",
    "",
    "a picture of " + "very " * 120 + "long prompts",
    'a sign that says "50 % <b>off</b> &amp; more"',
    "first line\nsecond line\u2028third\u2029fourth\x85fifth\r\nsixth",
    "ein Käfer, 猫 and 🐈‍⬛, naïve café",
    "an image",
]


@pytest.fixture(scope="session")
def config() -> Config:
    """open_clip's configuration of the small network."""
    return CONFIG


@pytest.fixture(scope="session")
def network() -> open_clip.CLIP:
    """The small network with random weights that leave no part silent."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = open_clip.CLIP(**CONFIG).eval().requires_grad_(False)
        for parameter in built.parameters():
            if parameter.ndim > 0:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return built


@pytest.fixture(scope="session")
def checkpoint(network: open_clip.CLIP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its weights as HPSv2's are published: under `state_dict`."""
    path = tmp_path_factory.mktemp("hps") / "HPS_v2.1_compressed.pt"
    torch.save({"state_dict": network.state_dict()}, path)
    return path


@pytest.fixture(scope="session")
def pairs() -> tuple[list[np.ndarray], list[str]]:
    """Images uint8 of many sizes, smooth enough for a resize to matter, and a prompt for each."""
    rng = np.random.default_rng(0)
    return [image(rng, height, width) for height, width in SIZES], PROMPTS


def image(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Blotches of colour with noise on them, uint8 (H, W, 3)."""
    coarse = rng.integers(0, 256, size=(-(-height // 16), -(-width // 16), 3))
    smooth = coarse.repeat(16, axis=0).repeat(16, axis=1)[:height, :width]
    return (smooth + rng.integers(-40, 40, size=smooth.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def draw() -> Callable[[int, int, int], np.ndarray]:
    """An image by (seed, height, width)."""
    return lambda seed, height, width: image(np.random.default_rng(seed), height, width)
