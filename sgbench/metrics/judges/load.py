"""A judge by its name, ready to run: images and their prompts to one value each."""

import pkgutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any, assert_never

import numpy as np
import torch
from numpy.typing import NDArray

from sgbench.base.errors import UserError
from sgbench.cells.prompts import Prompt
from sgbench.metrics.instrument import Judge
from sgbench.metrics.judges.catalogue import DRAWN_RULES, judge_named
from sgbench.metrics.judges.geneval import Verdict
from sgbench.metrics.judges.geneval import judge as decide
from sgbench.metrics.preference.environments import check_installed
from sgbench.metrics.weights import to_load

Values = NDArray[np.float64]
JudgeFn = Callable[[NDArray[np.uint8], Sequence[Prompt]], Values]
OneJudged = Callable[[NDArray[np.uint8], Prompt], Verdict]
"""An image uint8 (H, W, C) and its prompt to whether it is right."""


def load_judge(name: str, device: torch.device, stack: ExitStack) -> JudgeFn:
    """A judge from its verified weights: images uint8 (n, H, W, C) and their prompts to values (n,).

    One that runs in a process of its own ends with `stack`. Raises UserError when weights, a package or an environment
    are missing, or weights are damaged or of another network.
    """
    judge = judge_named(name)
    paths = to_load(judge)
    check_installed(name, name)
    loaded: Any = pkgutil.resolve_name(f"sgbench.metrics.{judge.code}")(judge, paths, device)
    if isinstance(loaded, AbstractContextManager):
        loaded = stack.enter_context(loaded)

    def right(images: NDArray[np.uint8], prompts: Sequence[Prompt]) -> Values:
        # One by one: a hundred masks an image at full size do not fit into memory by the shard.
        verdicts = [loaded(image, prompt).correct for image, prompt in zip(images, prompts, strict=True)]
        return np.array(verdicts, dtype=np.float64)

    match judge.judges:
        case "composition":
            return right
        case "preference":
            return lambda images, prompts: loaded(list(images), [prompt.text for prompt in prompts])
        case _:
            assert_never(judge.judges)


def load_geneval(judge: Judge, paths: Sequence[Path], device: torch.device) -> OneJudged:
    """GenEval: objects by Mask2Former, colours by CLIP, its rules on what they see."""
    from sgbench.metrics.judges import clip_colours, mask2former

    if paths[1].parent != paths[0].parent:
        raise UserError(
            f"{paths[1].name} is in another folder, {paths[1].parent}",
            where=str(paths[0]),
            fix="put both files into one folder, or run `sgbench weights fetch mask2former` again",
        )
    detector, colours = mask2former.load(paths[0].parent, device), clip_colours.load(paths[-1], device)

    def verdict(image: NDArray[np.uint8], prompt: Prompt) -> Verdict:
        coloured = np.broadcast_to(image, (*image.shape[:2], 3))
        return decide(prompt.record, detector([coloured])[0], partial(colours, coloured))

    return verdict


def load_drawn(judge: Judge, paths: Sequence[Path], device: torch.device) -> OneJudged:
    """The detector of drawn shapes, with GenEval's rules on what it sees."""
    from sgbench.metrics.judges.shapes_judge import detect

    def verdict(image: NDArray[np.uint8], prompt: Prompt) -> Verdict:
        seen = detect(image)
        colours = {found.box: colour for found, colour in seen}
        detections = [found for found, _ in seen]
        return decide(prompt.record, detections, lambda group: [colours[f.box] for f in group], DRAWN_RULES)

    return verdict
