"""Judges of images and their prompts, each as one record. No torch.

A judge of preference gives raw values, one for each pair. Published tables often show another form of the same number,
so that form has a metric of its own and the two are never mixed.
"""

import hashlib
import json

from sgbench.base.choices import unknown
from sgbench.metrics.instrument import Judge, WeightFile, Weights
from sgbench.metrics.judges.geneval import GENEVAL
from sgbench.zoo.shapes.captions import COLOURS, SHAPES

DRAWN, GENEVAL_JUDGE = "drawn", "geneval"
# Increase it with every change to what the detector of drawn shapes sees.
DRAWN_VERSION = 1
# Real renders fit above 0.92; a person would not name what fits worse than this. The same for all tasks.
DRAWN_RULES = GENEVAL._replace(threshold=0.7, counting_threshold=0.7)
# The fewest prompts that give a standard error.
FEWEST = 2

COSINE = "cosine"
HPS_INPUT = "RGB / 255, tensor bicubic (antialias on) of the longest side to 224, zero padding, CLIP mean and deviation"
CLIP_INPUT = "RGB, PIL bicubic of the shortest side to 224, centre crop, CLIP mean and deviation"
TOKENS = "prompts cut at 77 tokens"
HPS_NATIVE = f"raw cosine in float32 (open_clip ViT-H-14), {HPS_INPUT}, {TOKENS}"
WORKER = "preference.worker:load"
# Multiply-accumulates of ViT-H/14 (632 M) at 224 pixels, from its published size, as the others'.
VIT_H = 168.0


def drawn_digest() -> str:
    """What stands for weights in the protocol of the detector of drawn shapes: its version, palette and rules."""
    rule = [DRAWN_VERSION, SHAPES, {name: list(colour) for name, colour in COLOURS.items()}, list(DRAWN_RULES)]
    return hashlib.sha256(json.dumps(rule).encode()).hexdigest()


def _weights(name: str, folder: str, licence: str, *files: str, used_by: str = "", size: int | None = None) -> Weights:
    """Files below hf://OWNER/NAME; `size` is the first one's."""
    sizes = [size, *(None for _ in files[1:])]
    listed = (WeightFile(f, f"hf://{folder}/{f}", licence, n) for f, n in zip(files, sizes, strict=True))
    return Weights(name, used_by or name, tuple(listed))


CLIP = _weights(
    "clip-vit-l14",
    "timm/vit_large_patch14_clip_224.openai",
    "MIT",
    "open_clip_model.safetensors",
    used_by="geneval, clipscore",
    size=1_710_500_000,
)
HUB_ID = "facebook/mask2former-swin-small-coco-instance"
MASK2FORMER = _weights(
    "mask2former", HUB_ID, "CC-BY-NC-4.0", "model.safetensors", "config.json", used_by="geneval", size=276_000_000
)
HPS_V2 = _weights("hpsv2", "xswu/HPSv2", "Apache-2.0", "HPS_v2_compressed.pt")
HPS_V2_1 = _weights("hpsv2.1", "xswu/HPSv2", "Apache-2.0", "HPS_v2.1_compressed.pt", used_by="hpsv2.1, hpsv2-package")
PICKSCORE = _weights(
    "pickscore", "yuvalkirstain/PickScore_v1", "not stated by its publisher", "model.safetensors", size=3_944_000_000
)
IMAGEREWARD = _weights("imagereward", "THUDM/ImageReward", "Apache-2.0", "ImageReward.pt", "med_config.json")
HPS_V3 = _weights("hpsv3", "MizzenAI/HPSv3", "Apache-2.0", "HPSv3.safetensors")

_LIST = (
    Judge(
        DRAWN,
        "the detector of drawn shapes",
        (),
        "RGB as drawn, 32 x 32",
        0.0,
        (),
        judges="composition",
        code="judges.load:load_drawn",
        rules_sha256=drawn_digest,
    ),
    Judge(
        GENEVAL_JUDGE,
        "Mask2Former (Swin-S, COCO instances, transformers) and CLIP ViT-L/14 for colours",
        (MASK2FORMER, CLIP),
        "RGB, short side to 800 pixels",
        180.0,
        ("cheng2022mask2former", "wolf2020transformers", "radford2021clip", "ilharco2021openclip"),
        judges="composition",
        code="judges.load:load_geneval",
        packages=("transformers",),
        install="pip install 'sgbench[hf]'",
    ),
    *(
        Judge(
            weights.name,
            f"{title} (arXiv 2306.09341)",
            (weights,),
            HPS_NATIVE,
            VIT_H,
            ("wu2023hpsv2", "ilharco2021openclip"),
            code="preference.cosine:load_hps",
            unit=COSINE,
            factor=100,
        )
        for title, weights in (("HPSv2.0", HPS_V2), ("HPSv2.1", HPS_V2_1))
    ),
    Judge(
        "hpsv2-package",
        "HPSv2.1 by its own package",
        (HPS_V2_1,),
        "raw cosine by package hpsv2 1.2.0, float16 autocast on CUDA, tensor bicubic of the longest side to 224 as the "
        f"installed torchvision does it (antialias on since 0.17), zero padding, {TOKENS}",
        VIT_H,
        ("wu2023hpsv2",),
        code=WORKER,
        unit=COSINE,
        factor=100,
        packages=("hpsv2", "clint", "args"),
        install="pip install --no-deps hpsv2 clint args (its pins would downgrade pytest and protobuf, and none of its "
        "dependencies is needed to score), or use hpsv2.1",
    ),
    Judge(
        "clipscore",
        "CLIPScore (arXiv 2104.08718) with ViT-L/14",
        (CLIP,),
        "max(cosine, 0) in float32 (open_clip ViT-L-14-quickgelu), without the paper's factor of 2.5 and without its "
        f"prefix 'A photo depicts', {CLIP_INPUT}, {TOKENS}",
        81.0,
        ("hessel2021clipscore", "radford2021clip", "ilharco2021openclip"),
        code="preference.cosine:load_clipscore",
        unit="max(cosine, 0)",
        factor=100,
    ),
    Judge(
        "pickscore",
        "PickScore v1 (arXiv 2305.01569)",
        (PICKSCORE,),
        f"exp(logit scale) times cosine in float32 (open_clip ViT-H-14), {CLIP_INPUT}, open_clip's tokens, {TOKENS}",
        VIT_H,
        ("kirstain2023pickscore", "ilharco2021openclip"),
        code="preference.cosine:load_pickscore",
        unit="logits",
    ),
    Judge(
        "imagereward",
        "ImageReward v1.0 (arXiv 2304.05977)",
        (IMAGEREWARD,),
        "standardised reward by package image-reward 1.5, its own transform, prompts cut at 35 tokens",
        80.0,
        ("xu2023imagereward",),
        code=WORKER,
        unit="standardised reward",
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
    ),
    Judge(
        "hpsv3",
        "HPSv3 (arXiv 2508.03789)",
        (HPS_V3,),
        "mean of the predicted reward (mu) by package hpsv3 1.0.0, Qwen2-VL-7B in bfloat16 with torch's attention, "
        "the pixels of 448 x 448",
        4_000.0,
        ("ma2025hpsv3",),
        code=WORKER,
        unit="mu",
        requirements=("hpsv3==1.0.0",),
        hub=("Qwen/Qwen2-VL-7B-Instruct",),
    ),
)
JUDGES = {judge.name: judge for judge in _LIST}


def judge_named(name: str) -> Judge:
    """A judge by its name. Raises UserError with the nearest name where there is none."""
    if name not in JUDGES:
        raise unknown("judge", name, JUDGES, "judge")
    return JUDGES[name]
