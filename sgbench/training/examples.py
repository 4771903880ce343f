"""What a training step sees: images and conditions, a pure function of the step."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from sgbench.models.embedded import Training
from sgbench.zoo.data import Split


class Examples(Protocol):
    """Images uint8 (B, C, H, W) and conditions int64, (B,) classes or (B, L) words, of one step."""

    def __call__(self, plan: Training, step: int) -> tuple[Tensor, Tensor]: ...


class SplitExamples:
    """A finite set in memory, in a fresh order every epoch."""

    def __init__(self, split: Split) -> None:
        self.images, self.labels = torch.from_numpy(split.images), torch.from_numpy(split.labels)

    def __call__(self, plan: Training, step: int) -> tuple[Tensor, Tensor]:
        chosen = torch.from_numpy(batch_indices(plan, len(self.images), step))
        return self.images[chosen].unsqueeze(1), self.labels[chosen]


class ShapeExamples:
    """Captioned scenes of drawn shapes, never the same one twice."""

    def __call__(self, plan: Training, step: int) -> tuple[Tensor, Tensor]:
        from sgbench.zoo.shapes.render import render_all
        from sgbench.zoo.shapes.scenes import training_example
        from sgbench.zoo.shapes.vocabulary import token_ids

        drawn = [training_example(plan.seed, step * plan.batch + place) for place in range(plan.batch)]
        images = torch.from_numpy(render_all([scene for _, scene in drawn])).permute(0, 3, 1, 2)
        return images, torch.tensor([token_ids(caption.text) for caption, _ in drawn])


def batch_indices(plan: Training, size: int, step: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Image indices of one step: every epoch is a fresh permutation, its incomplete last batch dropped."""
    per_epoch = size // plan.batch
    epoch, position = divmod(step, per_epoch)
    order = np.random.Generator(np.random.PCG64([plan.seed, epoch])).permutation(size)
    return order[position * plan.batch : (position + 1) * plan.batch]
