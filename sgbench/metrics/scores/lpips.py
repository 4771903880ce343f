"""LPIPS (Zhang et al., arXiv 1801.03924): how far guidance changes an image; neither end is good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sgbench.metrics.metric import Fields, Needs, PairedMetric, fields

if TYPE_CHECKING:
    import torch

    from sgbench.metrics.metric import ImageSetInfo, Parts

VARIANT = "LPIPS 0.1 (arXiv 1801.03924) on VGG16, mean over pairs of one seed with the unguided cell, float32"


@dataclass(frozen=True)
class Lpips(PairedMetric):
    """Mean over pairs of one seed."""

    works: tuple[str, ...] = ("zhang2018lpips",)
    needs: Needs = ""
    rank: int = 60

    def score(self, network: Any, images: Parts, others: Parts, info: ImageSetInfo, device: torch.device) -> Fields:
        from sgbench.metrics.extractors.lpips import lpips
        from sgbench.stats.estimates import mean_estimate

        distances = lpips(network, images, others, device)
        return {**fields(mean_estimate(distances), info.where), "distances": [round(float(d), 5) for d in distances]}


METRICS = (Lpips("lpips", "LPIPS to unguided", "", "lpips", VARIANT),)
