"""fashion-cnn: the small convolutional classifier whose features the embedded suites are scored with."""

import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = 10


class FashionCNN(nn.Module):
    """Three stages of two 3x3 convolutions; features are the mean over the last map."""

    def __init__(self) -> None:
        super().__init__()
        pairs = ((1, 24), (24, 24), (24, 48), (48, 48), (48, 96), (96, 96))
        self.stages = nn.ModuleList(_convolution(before, after) for before, after in pairs)
        self.head = nn.Linear(96, CLASSES)

    def features(self, images: Tensor) -> Tensor:
        """Features (N, 96) of images (N, 1, 32, 32) in [-1, 1]."""
        h = images
        for index, stage in enumerate(self.stages):
            if index in (2, 4):
                h = F.max_pool2d(h, 2)
            h = stage(h)
        return h.mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Class logits (N, 10)."""
        return self.head(self.features(images))


def _convolution(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )
