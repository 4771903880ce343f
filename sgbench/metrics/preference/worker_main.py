"""Score pairs of image and prompt in the environment of a scorer's own package. Run by `worker.py`, not imported.

Stand-alone on purpose: it may use Python 3.9, the standard library and the scorer's package only. It reads JSON lines
{"id", "path", "prompt"}, answers {"id", "score"} after a first {"ready": true}, and ends with its input.
"""

import argparse
import functools
import gzip
import importlib
import importlib.util
import json
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Path of an image and prompt to a raw score.
Score = Callable[[str, str], float]
VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"


def hpsv2_package(weights: list[str], device: str) -> Score:
    """Package hpsv2 1.2.0, repaired; a second file is another size of ViT-H-14, in JSON."""
    repair_hpsv2()
    # An existing folder: the package makes its own in the user's home otherwise.
    os.environ["HPS_ROOT"] = str(Path(weights[0]).parent)
    torch: Any = importlib.import_module("torch")
    img_score: Any = importlib.import_module("hpsv2.img_score")
    open_clip = importlib.import_module("hpsv2.src.open_clip")
    for config in weights[1:]:
        open_clip.add_model_config(config)
    # The package would build its network from a download first, and read the checkpoint again for every image.
    network, _, preprocess = open_clip.create_model_and_transforms(
        "ViT-H-14", None, precision="amp", device=device, light_augmentation=True, aug_cfg={}, output_dict=True
    )
    img_score.model_dict.update(model=network, preprocess_val=preprocess)
    img_score.device = device
    torch.load = functools.lru_cache(maxsize=1)(torch.load)
    return lambda path, prompt: float(img_score.score(path, prompt, cp=weights[0])[0])


def repair_hpsv2() -> None:
    """Supply what the package lacks: open_clip's vocabulary, and a turtle where Python has no tkinter."""
    if importlib.util.find_spec("_tkinter") is None:
        turtle: Any = types.ModuleType("turtle")
        turtle.forward = None
        sys.modules["turtle"] = turtle
    spec = importlib.util.find_spec("open_clip")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'open_clip'")
    vocabulary = Path(spec.origin).with_name(VOCABULARY)
    opened = gzip.open

    def reopened(name: Any, *arguments: Any, **named: Any) -> Any:
        missing = Path(name).name == VOCABULARY and not Path(name).exists()
        return opened(vocabulary if missing else name, *arguments, **named)

    patched: Any = gzip
    patched.open = reopened


def imagereward(weights: list[str], device: str) -> Score:
    """Package image-reward; files ImageReward.pt and med_config.json."""
    torch, package = (importlib.import_module(name) for name in ("torch", "ImageReward"))
    network = package.load(weights[0], device=device, med_config=weights[1])

    def score(path: str, prompt: str) -> float:
        with torch.inference_mode():
            return float(network.score(prompt, path))

    return score


def hpsv3(weights: list[str], device: str) -> Score:
    """Package hpsv3; file HPSv3.safetensors. The reward is a normal distribution and the score its mean."""
    torch, package = (importlib.import_module(name) for name in ("torch", "hpsv3"))
    inferencer = package.HPSv3RewardInferencer(checkpoint_path=weights[0], device=device)

    def score(path: str, prompt: str) -> float:
        with torch.inference_mode():
            # By name: the order of the two changed between versions.
            return float(inferencer.reward(image_paths=[path], prompts=[prompt])[0][0])

    return score


SCORERS = {"hpsv2-package": hpsv2_package, "imagereward": imagereward, "hpsv3": hpsv3}


def main() -> None:
    """Load, report it, and answer until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scorer", required=True, choices=sorted(SCORERS))
    parser.add_argument("--device", required=True)
    parser.add_argument("--weights", nargs="+", required=True)
    given = parser.parse_args()
    # Packages may print anything; answers go through a handle of their own.
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    score = SCORERS[given.scorer](given.weights, given.device)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        value = score(asked["path"], asked["prompt"])
        print(json.dumps({"id": asked["id"], "score": value}), file=answers, flush=True)


if __name__ == "__main__":
    main()
