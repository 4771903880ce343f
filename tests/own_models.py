"""A user's model for tests: grey images of 8 x 8 pixels, 16 tokens, in a file as a user writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

MODEL = '''
"""A small denoiser of grey images. Dropped tokens skip all of its blocks."""

import torch
from torch import nn

from sgbench import ModelCard


class Model(nn.Module):
    card = ModelCard(
        name="mine",
        shape=(1, 8, 8),
        tokens=16,
        classes=10,
        null=10,
        prediction="velocity",
        drops="dropped tokens skip all blocks",
        trained_gamma=0.5,
    )

    def __init__(self, width=16, depth=2):
        super().__init__()
        self.patches, self.out = nn.Conv2d(1, width, 2, stride=2), nn.ConvTranspose2d(width, 1, 2, stride=2)
        self.places = nn.Parameter(torch.randn(16, width) / 50)
        self.time, self.label = nn.Linear(1, width), nn.Embedding(11, width)
        layer = lambda: nn.TransformerEncoderLayer(width, 2, 4 * width, 0.0, batch_first=True, norm_first=True)
        self.blocks = nn.ModuleList(layer() for _ in range(depth))

    def forward(self, x, t, condition, tokens=None):
        h = self.patches(x).flatten(2).mT + self.places + (self.time(t[:, None]) + self.label(condition))[:, None]
        index = None if tokens is None else tokens[:, :, None].expand(-1, -1, h.shape[2])
        kept = h if index is None else h.gather(1, index)
        for block in self.blocks:
            kept = block(kept)
        h = kept if index is None else h.scatter(1, index, kept)
        return self.out(h.mT.unflatten(2, (4, 4)))
'''
SUITE: dict[str, Any] = {
    "suite": "mine",
    "title": "A model of my own",
    "seed": 1,
    "samples": 30,
    "metrics": [],
    "model": {"custom": "mine.py:Model", "weights": "random"},
    "sampler": {"name": "euler", "steps": 2},
    "sweep": [
        {"guidance": "none"},
        {"guidance": "cfg", "scale": 2},
        {"guidance": "sg", "scale": 1.5, "gamma_strong": 0, "gamma_weak": 0.5},
    ],
}


def write(folder: Path, text: str = MODEL, **changes: Any) -> Path:
    """`mine.py` and a suite that uses it, whose path is returned."""
    (folder / "mine.py").write_text(text)
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(SUITE | changes, sort_keys=False))
    return path


def line_of(text: str, part: str) -> int:
    """The number of the first line with `part`."""
    return text[: text.index(part)].count("\n") + 1
