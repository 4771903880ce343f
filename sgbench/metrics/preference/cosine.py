"""Scorers that are a function of the cosine of an image's and its prompt's embedding by a CLIP of open_clip."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from sgbench.base.errors import NoScoreError
from sgbench.metrics.extract import GPU_FACTOR, exact_arithmetic
from sgbench.metrics.instrument import Judge
from sgbench.metrics.preference.pairs import Images, check_pairs
from sgbench.networks.checkpoints import load_strict, read_state

BATCH = 16
# OpenAI's ViT-L has an activation of its own, which a weight file does not record (see extractors/clip.py).
VIT_H, VIT_L = "ViT-H-14", "ViT-L-14-quickgelu"
Prepare = Callable[[NDArray[np.uint8], int], Tensor]
Finish = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Config = dict[str, Any]
# PickScore's weights are published under transformers' names, for the network that open_clip calls ViT-H-14; old
# versions of transformers stored counters with them.
UNUSED = "embeddings.position_ids"
RENAMED = (
    (r"^text_model\.encoder\.layers\.", "transformer.resblocks."),
    (r"^vision_model\.encoder\.layers\.", "visual.transformer.resblocks."),
    (r"\.self_attn\.", ".attn."),
    (r"\.layer_norm(\d)\.", r".ln_\1."),
    (r"\.mlp\.fc1\.", ".mlp.c_fc."),
    (r"\.mlp\.fc2\.", ".mlp.c_proj."),
    (r"^text_model\.embeddings\.token_embedding\.weight$", "token_embedding.weight"),
    (r"^text_model\.embeddings\.position_embedding\.weight$", "positional_embedding"),
    (r"^text_model\.final_layer_norm\.", "ln_final."),
    (r"^text_projection\.weight$", "text_projection"),
    (r"^vision_model\.embeddings\.class_embedding$", "visual.class_embedding"),
    (r"^vision_model\.embeddings\.patch_embedding\.", "visual.conv1."),
    (r"^vision_model\.embeddings\.position_embedding\.weight$", "visual.positional_embedding"),
    # The name is misspelt in transformers.
    (r"^vision_model\.pre_layrnorm\.", "visual.ln_pre."),
    (r"^vision_model\.post_layernorm\.", "visual.ln_post."),
    (r"^visual_projection\.weight$", "visual.proj"),
)
TRANSPOSED = ("text_projection", "visual.proj")
QUERY = re.compile(r"^(.*\.attn\.)q_proj\.(weight|bias)$")


class CosineScorer:
    """`finish` of the cosines of pairs. The batch changes a score by float32 rounding only, below 1e-6."""

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

        Raises UserError for images of another shape or dtype and for another number of prompts, NoScoreError for
        values that are not finite.
        """
        check_pairs(self.name, images, prompts)
        parts = [slice(start, start + self.batch) for start in range(0, len(images), self.batch)]
        with torch.inference_mode(), exact_arithmetic():
            cosines = [self._cosines(images[part], prompts[part]) for part in parts]
        scores = self.finish(np.concatenate([np.empty(0), *cosines]))
        bad = ~np.isfinite(scores)
        if bad.any():
            raise NoScoreError(
                f"{int(bad.sum())} scores are not finite (the first is of image number {int(bad.argmax())})",
                where=self.name,
                fix="compare the digest of the weights with their source's",
            )
        return scores

    def _cosines(self, images: Images, prompts: Sequence[str]) -> NDArray[np.float32]:
        batch = torch.stack([self.prepare(image, self.side) for image in images])
        pictures = self.network.encode_image(batch.to(self.device), normalize=True)
        texts = self.network.encode_text(self.tokenize(list(prompts)).to(self.device), normalize=True)
        return np.asarray((pictures * texts).sum(dim=1).cpu().numpy())


def load_hps(judge: Judge, paths: Sequence[Path], device: torch.device) -> CosineScorer:
    """HPSv2 and HPSv2.1 (Wu et al., arXiv 2306.09341): the raw cosine, as `hpsv2.score` gives it.

    The checkpoint may be bare or under `state_dict`, with or without the prefix `module.`. Always in float32: the
    package runs in float16 autocast on CUDA, which leaves about three digits of a score.
    """
    network = build(VIT_H, read_state(paths[0]), str(paths[0]))
    return CosineScorer(judge.name, network, longest_side, lambda cosines: cosines, device)


def load_clipscore(judge: Judge, paths: Sequence[Path], device: torch.device) -> CosineScorer:
    """CLIPScore (Hessel et al., arXiv 2104.08718, section 3) with OpenAI's ViT-L/14: max(cosine, 0).

    The paper multiplies by 2.5 and puts "A photo depicts" before a caption; text-to-image tables do neither and mostly
    show 100 times the cosine.
    """
    network = build(VIT_L, read_state(paths[0]), str(paths[0]))
    return CosineScorer(judge.name, network, shortest_side, lambda cosines: np.maximum(cosines, 0), device)


def load_pickscore(judge: Judge, paths: Sequence[Path], device: torch.device) -> CosineScorer:
    """PickScore (Kirstain et al., arXiv 2305.01569, section 4): exp(logit scale) times the cosine of a tuned CLIP-H."""
    network = build(VIT_H, open_clip_names(read_state(paths[0])), str(paths[0]))
    scale = float(network.logit_scale.exp())
    return CosineScorer(judge.name, network, shortest_side, lambda cosines: scale * cosines, device)


def open_clip_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of transformers' CLIPModel under open_clip's names; what is not one of its names stays as it is.

    open_clip keeps query, key and value in one matrix and projections transposed.
    """
    renamed = {_renamed(name): tensor for name, tensor in state.items() if not name.endswith(UNUSED)}
    for name in TRANSPOSED:
        if name in renamed:
            renamed[name] = renamed[name].T
    for query in [match for name in renamed if (match := QUERY.match(name))]:
        parts = [f"{query[1]}{part}_proj.{query[2]}" for part in "qkv"]
        if all(part in renamed for part in parts):
            renamed[f"{query[1]}in_proj_{query[2]}"] = torch.cat([renamed.pop(part) for part in parts])
    return renamed


def _renamed(name: str) -> str:
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def build(model: str, state: Mapping[str, Tensor], where: str) -> open_clip.CLIP:
    """A model of open_clip with these weights, float32 whatever dtype they are stored in.

    Raises UserError naming `where` for weights of another network.
    """
    network = open_clip.CLIP(**published(model))
    load_strict(network, state, where)
    return network.eval().requires_grad_(False)


def published(model: str) -> Config:
    """open_clip's configuration of a model."""
    config: Config = open_clip.get_model_config(model)
    return config


def longest_side(image: NDArray[np.uint8], side: int) -> Tensor:
    """uint8 (H, W, 3) to float32 (3, side, side): the whole image in a black square, as HPSv2 sees it.

    Resized as a tensor and never rounded to 8 bits; values may leave [0, 1] by bicubic overshoot, as in hpsv2. Its own
    function does not pad where the longest side is `side` already, and its network then refuses the image unless it is
    square; here it is padded like any other.
    """
    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255
    scale = side / max(pixels.shape[1:])
    if scale != 1:
        height, width = (max(round(length * scale), 1) for length in pixels.shape[1:])
        pixels = F.interpolate(pixels[None], size=(height, width), mode="bicubic", antialias=True)[0]
    above, left = (side - pixels.shape[1]) // 2, (side - pixels.shape[2]) // 2
    below, right = side - pixels.shape[1] - above, side - pixels.shape[2] - left
    return _normalised(F.pad(pixels, (left, right, above, below)))


def shortest_side(image: NDArray[np.uint8], side: int) -> Tensor:
    """uint8 (H, W, 3) to float32 (3, side, side): the middle of the image, as CLIP sees it.

    PIL's bicubic, rounded to 8 bits. Where the crop cannot be centred it is the upper left of the two candidates, as
    in transformers; torchvision sometimes takes the other one.
    """
    height, width = image.shape[:2]
    size = (side * width // min(height, width), side * height // min(height, width))
    resized = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    left, above = (size[0] - side) // 2, (size[1] - side) // 2
    cropped = resized.crop((left, above, left + side, above + side))
    return _normalised(torch.from_numpy(np.array(cropped)).permute(2, 0, 1).float() / 255)


def _normalised(pixels: Tensor) -> Tensor:
    mean, deviation = (torch.tensor(x)[:, None, None] for x in (OPENAI_DATASET_MEAN, OPENAI_DATASET_STD))
    return (pixels - mean) / deviation
