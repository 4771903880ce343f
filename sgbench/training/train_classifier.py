"""Train `fashion-cnn`: a few epochs of SGD with flips and small shifts, on the zoo's training split."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sgbench.networks.classifier import FashionCNN
from sgbench.training.train import Curve, LossLog, Progress, batch_indices
from sgbench.zoo.data import Split

SEED = 20260102
EPOCHS = 12
BATCH = 128
PEAK_RATE = 0.1
SHIFT = 2
LOG_EVERY = 50


class TrainedClassifier(NamedTuple):
    """Weights, accuracy on the held-out images, and the loss curve."""

    weights: dict[str, Tensor]
    accuracy: float
    curve: Curve


def train_classifier(
    data: Split, held_out: Split, device: str, report: Callable[[Progress], None]
) -> TrainedClassifier:
    """Train from scratch; deterministic given the seed and the number of threads."""
    torch.manual_seed(SEED)
    model = FashionCNN().to(device).to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(model.parameters(), lr=PEAK_RATE, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = EPOCHS * (len(data.images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=steps, pct_start=0.2)
    images = _scaled(data.images).to(device)
    labels = torch.from_numpy(data.labels).to(device)
    log = LossLog(steps, BATCH, LOG_EVERY, report)
    for step in range(steps):
        chosen = torch.from_numpy(batch_indices(SEED, BATCH, len(images), step)).to(device)
        batch = _augment(images[chosen], torch.Generator().manual_seed(SEED * 1_000_003 + step))
        with torch.autocast(images.device.type, torch.bfloat16):
            logits = model(batch.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits.float(), labels[chosen], label_smoothing=0.05)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        log.add(step + 1, loss.item())
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    return TrainedClassifier(weights, accuracy(model, held_out, device), log.curve)


@torch.no_grad()
def accuracy(model: FashionCNN, split: Split, device: str) -> float:
    """Share of images whose most likely class is their label."""
    model.eval()
    predicted = [model(part.to(device)).argmax(1).cpu() for part in _scaled(split.images).split(500)]
    return float((torch.cat(predicted) == torch.from_numpy(split.labels)).double().mean())


def _scaled(images: np.ndarray[Any, np.dtype[np.uint8]]) -> Tensor:
    return torch.from_numpy(images).unsqueeze(1).float() / 127.5 - 1


def _augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Flip half of the images and shift each by up to two pixels; the border is background."""
    flip = torch.rand(len(images), generator=generator).to(images.device) < 0.5
    images = torch.where(flip[:, None, None, None], images.flip(3), images)
    padded = F.pad(images, (SHIFT,) * 4, value=-1.0)
    dy, dx = torch.randint(0, 2 * SHIFT + 1, (2, len(images)), generator=generator).to(images.device)
    side = torch.arange(images.shape[-1], device=images.device)
    rows = (dy[:, None] + side)[:, :, None]
    columns = (dx[:, None] + side)[:, None, :]
    which = torch.arange(len(images), device=images.device)[:, None, None]
    return padded[:, 0][which, rows, columns].unsqueeze(1)
