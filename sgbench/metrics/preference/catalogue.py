"""Preference scorers as data: weights, licence, how an image becomes a number, what it runs in. No torch.

A scorer gives raw values, one a pair. Tables of others often show another form of the same number, so that form has
a function and a unit of its own and the two are never mixed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sgbench.base.choices import unknown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Source(NamedTuple):
    """One published file. `size` is in bytes; None where nothing says it."""

    file: str
    address: str
    licence: str
    size: int | None = None


class Scorer(NamedTuple):
    """One scorer. Every one of them is better when higher."""

    name: str
    title: str
    files: tuple[Source, ...]
    variant: str
    """What the values depend on besides the weights; part of every protocol."""
    unit: str
    factor: float = 1.0
    """What published tables multiply raw values by."""
    better: str = "higher"
    requirements: tuple[str, ...] = ()
    """What pip installs into an environment of its own; empty where the scorer runs in this one."""
    hub: tuple[str, ...] = ()
    """What the scorer's own package reads from the Hugging Face cache besides its weights."""
    works: tuple[str, ...] = ()
    """What to cite: keys of `report/citations/references.bib`."""


class Form(NamedTuple):
    """Values (n,) and the unit that they are in."""

    values: NDArray[np.float64]
    unit: str


COSINE = "cosine"
HPS_INPUT = "RGB / 255, tensor bicubic (antialias on) of the longest side to 224, zero padding, CLIP mean and deviation"
CLIP_INPUT = "RGB, PIL bicubic of the shortest side to 224, centre crop, CLIP mean and deviation"
TOKENS = "prompts cut at 77 tokens"
HPS = "hf://xswu/HPSv2"
V2 = Source("HPS_v2_compressed.pt", f"{HPS}/HPS_v2_compressed.pt", "Apache-2.0")
V2_1 = Source("HPS_v2.1_compressed.pt", f"{HPS}/HPS_v2.1_compressed.pt", "Apache-2.0")
NATIVE = f"raw cosine in float32 (open_clip ViT-H-14), {HPS_INPUT}, {TOKENS}"

_LIST = (
    Scorer(
        "hpsv2", "HPSv2.0 (arXiv 2306.09341)", (V2,), NATIVE, COSINE, 100, works=("wu2023hpsv2", "ilharco2021openclip")
    ),
    Scorer(
        "hpsv2.1",
        "HPSv2.1 (arXiv 2306.09341)",
        (V2_1,),
        NATIVE,
        COSINE,
        100,
        works=("wu2023hpsv2", "ilharco2021openclip"),
    ),
    Scorer(
        "hpsv2-package",
        "HPSv2.1 by its own package",
        (V2_1,),
        "raw cosine by package hpsv2 1.2.0, float16 autocast on CUDA, tensor bicubic of the longest side to 224 as the "
        f"installed torchvision does it (antialias on since 0.17), zero padding, {TOKENS}",
        COSINE,
        100,
        works=("wu2023hpsv2",),
    ),
    Scorer(
        "clipscore",
        "CLIPScore (arXiv 2104.08718) with ViT-L/14",
        (
            Source(
                "open_clip_model.safetensors",
                "hf://timm/vit_large_patch14_clip_224.openai/open_clip_model.safetensors",
                "MIT",
                1_710_500_000,
            ),
        ),
        "max(cosine, 0) in float32 (open_clip ViT-L-14-quickgelu), without the paper's factor of 2.5 and without its "
        f"prefix 'A photo depicts', {CLIP_INPUT}, {TOKENS}",
        "max(cosine, 0)",
        100,
        works=("hessel2021clipscore", "radford2021clip", "ilharco2021openclip"),
    ),
    Scorer(
        "pickscore",
        "PickScore v1 (arXiv 2305.01569)",
        (
            Source(
                "model.safetensors",
                "hf://yuvalkirstain/PickScore_v1/model.safetensors",
                "not stated by its publisher",
                3_944_000_000,
            ),
        ),
        f"exp(logit scale) times cosine in float32 (open_clip ViT-H-14), {CLIP_INPUT}, open_clip's tokens, {TOKENS}",
        "logits",
        works=("kirstain2023pickscore", "ilharco2021openclip"),
    ),
    Scorer(
        "imagereward",
        "ImageReward v1.0 (arXiv 2304.05977)",
        (
            Source("ImageReward.pt", "hf://THUDM/ImageReward/ImageReward.pt", "Apache-2.0"),
            Source("med_config.json", "hf://THUDM/ImageReward/med_config.json", "Apache-2.0"),
        ),
        "standardised reward by package image-reward 1.5, its own transform, prompts cut at 35 tokens",
        "standardised reward",
        # The package imports OpenAI's clip, diffusers and parts of transformers that later versions moved, and
        # clip imports a part of setuptools that left with version 70; none of it is pinned by the package.
        requirements=(
            "image-reward==1.5",
            "clip-anytorch==2.6.0",
            "diffusers==0.30.3",
            "setuptools<70",
            "transformers==4.45.2",
        ),
        hub=("bert-base-uncased",),
        works=("xu2023imagereward",),
    ),
    Scorer(
        "hpsv3",
        "HPSv3 (arXiv 2508.03789)",
        (Source("HPSv3.safetensors", "hf://MizzenAI/HPSv3/HPSv3.safetensors", "Apache-2.0"),),
        "mean of the predicted reward (mu) by package hpsv3 1.0.0, Qwen2-VL-7B in bfloat16 with torch's attention, "
        "the pixels of 448 x 448",
        "mu",
        requirements=("hpsv3==1.0.0",),
        hub=("Qwen/Qwen2-VL-7B-Instruct",),
        works=("ma2025hpsv3",),
    ),
)
SCORERS = {scorer.name: scorer for scorer in _LIST}


def scorer_named(name: str) -> Scorer:
    """An entry by its name. Raises UserError with the nearest name where there is none."""
    if name not in SCORERS:
        raise unknown("preference scorer", name, SCORERS, "scorer")
    return SCORERS[name]


def benchmark_form(name: str, values: NDArray[np.float64]) -> Form:
    """Raw values in the form that published tables show: HPSv2 and CLIPScore times 100, others as they are.

    Raises UserError as `scorer_named`.
    """
    scorer = scorer_named(name)
    unit = scorer.unit if scorer.factor == 1 else f"{scorer.factor:g} x {scorer.unit}"
    return Form(values * scorer.factor, unit)
