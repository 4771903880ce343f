"""Scorers that are a function of one cosine: an image's and its prompt's embedding by a CLIP network of open_clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgbench.metrics.extractors.extract import GPU_FACTOR, exact_arithmetic
from sgbench.metrics.preference.pairs import Images, check_pairs, checked, finite
from sgbench.networks.checkpoints import load_strict

BATCH = 16
Prepare = Callable[[NDArray[np.uint8], int], Tensor]
Finish = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Config = dict[str, Any]


class CosineScorer:
    """`finish` of the cosines of pairs. Batches move a score by float32 rounding only, below 1e-6."""

    def __init__(
        self, name: str, network: open_clip.CLIP, prepare: Prepare, finish: Finish, device: torch.device
    ) -> None:
        self.name, self.prepare, self.finish, self.device = name, prepare, finish, device
        self.network = network.to(device)
        self.side = int(network.visual.image_size[0])
        self.tokenize = open_clip.SimpleTokenizer(context_length=network.context_length)
        self.batch = BATCH * (GPU_FACTOR if device.type == "cuda" else 1)

    def __call__(self, images: Images, prompts: Sequence[str]) -> NDArray[np.float64]:
        """One score (n,) for each pair, images uint8 (H, W, 3) of any sizes.

        Raises UserError for images of another kind and for another number of prompts, NoScoreError for values that
        are not finite.
        """
        check_pairs(self.name, images, prompts)
        found = np.empty(len(images))
        with torch.inference_mode(), exact_arithmetic():
            for start in range(0, len(images), self.batch):
                part = range(start, min(start + self.batch, len(images)))
                batch = [self.prepare(checked(self.name, images[i], i), self.side) for i in part]
                found[start : part.stop] = self._cosines(torch.stack(batch), [prompts[i] for i in part])
        return finite(self.name, self.finish(found))

    def _cosines(self, images: Tensor, prompts: list[str]) -> NDArray[np.float32]:
        pictures = self.network.encode_image(images.to(self.device), normalize=True)
        texts = self.network.encode_text(self.tokenize(prompts).to(self.device), normalize=True)
        return np.asarray((pictures * texts).sum(dim=1).cpu().numpy())


def build(config: Config, state: Mapping[str, Tensor], where: str) -> open_clip.CLIP:
    """A network of open_clip's configuration with these weights, float32 whatever they are kept in.

    Raises UserError naming `where` for weights of another network.
    """
    network = open_clip.CLIP(**config)
    load_strict(network, state, where)
    return network.eval().requires_grad_(False)


def published(model: str) -> Config:
    """open_clip's configuration of a model."""
    config: Config = open_clip.get_model_config(model)
    return config


def raw(cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosines as they are."""
    return cosines
