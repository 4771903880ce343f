"""GenEval's judge of colours (arXiv 2310.11513, section 3): CLIP ViT-L/14 (MIT) by open_clip, without training.

An object is cut out, its background painted grey by its mask, and assigned the colour whose three sentences are
nearest. The published evaluator runs this in half precision on a GPU; here it is float32 everywhere.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from open_clip import OPENAI_DATASET_MEAN as MEAN
from open_clip import OPENAI_DATASET_STD as DEVIATION
from PIL import Image
from torch import Tensor

from sgbench.cells.prompt_records import COLOURS
from sgbench.metrics.extract import exact_arithmetic
from sgbench.metrics.judges.geneval import Detection
from sgbench.networks.checkpoints import load_strict, read_state

# OpenAI's activation, which a weight file does not record (see extractors/clip.py).
MODEL: Final = "ViT-L-14-quickgelu"
SENTENCES: Final = (
    "a photo of a {colour} {name}",
    "a photo of a {colour}-colored {name}",
    "a photo of a {colour} object",
)
# The published #999.
GROUND: Final = np.uint8(0x99)


class ColourClassifier:
    """The colour of each of some objects in an image: `colour_of` of `geneval.judge`, once the image is given."""

    def __init__(self, network: open_clip.CLIP, device: torch.device, colours: Sequence[str] = COLOURS) -> None:
        self.network, self.device, self.colours = network, device, tuple(colours)
        self.tokens = open_clip.SimpleTokenizer(context_length=network.context_length)
        side = int(network.visual.image_size[0])
        # The short side of a cut is resized to the input's, bicubic, and its centre is cropped.
        self.transform = open_clip.image_transform(side, is_train=False, mean=MEAN, std=DEVIATION)
        self._known: dict[str, Tensor] = {}

    def __call__(self, image: NDArray[np.uint8], detections: Sequence[Detection]) -> list[str]:
        """The colours of at least one object of an image (H, W, 3), all of one class, in order."""
        with torch.inference_mode(), exact_arithmetic():
            batch = torch.stack([self.transform(cut(image, found)) for found in detections])
            seen = self.network.encode_image(batch.to(self.device), normalize=True)
            nearest = (seen @ self.words(detections[0].name).T).argmax(dim=1)
        return [self.colours[number] for number in nearest.tolist()]

    def words(self, name: str) -> Tensor:
        """An embedding (colours, D) of length one for each colour of a class: the mean of its sentences'."""
        if name not in self._known:
            with torch.inference_mode(), exact_arithmetic():
                self._known[name] = torch.stack([self._embedded(colour, name) for colour in self.colours])
        return self._known[name]

    def _embedded(self, colour: str, name: str) -> Tensor:
        tokens = self.tokens([sentence.format(colour=colour, name=name) for sentence in SENTENCES])
        mean = self.network.encode_text(tokens.to(self.device), normalize=True).mean(dim=0)
        return mean / mean.norm()


def cut(image: NDArray[np.uint8], found: Detection) -> Image.Image:
    """The object in its box, on grey where it has a mask."""
    shown = image if found.mask is None else np.where(found.mask[..., None], image, GROUND)
    return Image.fromarray(shown).crop(found.box)


def load(path: Path, device: torch.device, colours: Sequence[str] = COLOURS) -> ColourClassifier:
    """The judge from CLIP's weights, under open_clip's names. Raises UserError when they are of another network."""
    network = open_clip.create_model(MODEL, pretrained=None, device="cpu")
    load_strict(network, read_state(path), str(path))
    return ColourClassifier(network.eval().requires_grad_(False).to(device), device, colours)
