"""Values that a judge gives to images of prompts: made shard by shard, kept with the digest of their shard."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.cells.prompts import Prompt, PromptSet
from sgbench.images.sets import ImageSet, ImageSetInfo
from sgbench.metrics.catalogue import METRICS
from sgbench.metrics.judges.catalogue import DRAWN, DRAWN_RULES, GENEVAL_JUDGE, JUDGES
from sgbench.metrics.judges.geneval import Box, Detection
from sgbench.metrics.judges.geneval import judge as decide
from sgbench.metrics.metric import Fields, TextMetric
from sgbench.metrics.weights import extractor_id, to_load
from sgbench.results.store import Store, shard_sizes
from sgbench.score.cell_images import CellImages

Values = NDArray[np.float64]
Judging = Callable[[NDArray[np.uint8], Sequence[Prompt]], Values]


def load_judge(name: str, device: torch.device, stack: ExitStack) -> Judging:
    """A judge ready to run: images uint8 (n, H, W, 3) and their prompts to values (n,).

    One that runs in a process of its own ends with `stack`. Raises UserError when weights are missing, damaged or of
    another network.
    """
    if name == DRAWN:
        return _drawn
    paths = [path for entry in JUDGES[name].weights for path in to_load(entry)]
    if name == GENEVAL_JUDGE:
        from sgbench.metrics.judges import clip_colours, mask2former

        if paths[1].parent != paths[0].parent:
            raise UserError(
                f"{paths[1].name} is in another folder, {paths[1].parent}",
                where=str(paths[0]),
                fix="put both files into one folder, or run `sgbench weights fetch mask2former` anew",
            )
        detector, colours = mask2former.load(paths[0].parent, device), clip_colours.load(paths[-1], device)

        def geneval(images: NDArray[np.uint8], prompts: Sequence[Prompt]) -> Values:
            # One by one: a hundred masks an image at full size do not fit into memory by the shard.
            verdicts = (
                decide(prompt.record, detector([image])[0], partial(colours, image))
                for image, prompt in zip(np.broadcast_to(images, (*images.shape[:3], 3)), prompts, strict=True)
            )
            return np.array([verdict.correct for verdict in verdicts], dtype=np.float64)

        return geneval
    from sgbench.metrics.preference.scorer import load_scorer
    from sgbench.metrics.preference.worker import WorkerScorer

    scorer = load_scorer(name, paths, device)
    if isinstance(scorer, WorkerScorer):
        stack.enter_context(scorer)
    return lambda images, prompts: scorer(list(images), [prompt.text for prompt in prompts])


def _drawn(images: NDArray[np.uint8], prompts: Sequence[Prompt]) -> Values:
    from sgbench.metrics.judges.shapes_judge import detect

    def colours(of: dict[Box, str], group: Sequence[Detection]) -> list[str]:
        return [of[found.box] for found in group]

    right = []
    for image, prompt in zip(images, prompts, strict=True):
        seen = detect(image)
        of = partial(colours, {found.box: colour for found, colour in seen})
        right.append(decide(prompt.record, [found for found, _ in seen], of, DRAWN_RULES).correct)
    return np.array(right, dtype=np.float64)


class TextScorer:
    """Scores cells by metrics of prompts; judges are loaded when the first shard without values needs them.

    Judges that run in processes of their own end with its `with`.
    """

    def __init__(self, store: Store, device: torch.device) -> None:
        self.store, self.device = store, device
        self._loaded: dict[str, tuple[Judging, ExitStack]] = {}

    def __enter__(self) -> TextScorer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._loaded):
            self._loaded.pop(name)[1].__exit__(kind, error, trace)

    def score(self, metric: str, cell: Cell, info: ImageSetInfo) -> Fields:
        """A metric of a cell's images as it stands in scores.json, groups of prompts apart.

        Raises IncompleteError where images are missing, NoScoreError where a group has too few.
        """
        chosen = METRICS[metric]
        assert isinstance(chosen, TextMetric)
        return chosen.score(self._values(chosen.extractor, cell, info), info)

    def _values(self, judge: str, cell: Cell, info: ImageSetInfo) -> Values:
        assert info.prompts is not None
        assert info.labels is not None
        name = judged_name(judge, info.prompts)
        parts = []
        for number, count in shard_sizes(info.samples):
            noted = self.store.shard_sha256(cell, number)
            kept = None if noted is None else self.store.read_features(cell, name, number, noted)
            if kept is None:
                kept = self._judge(judge, name, cell, number, info)
            if kept is None or len(kept["values"]) < count:
                raise CellImages(cell, self.store, info.samples).incomplete()
            parts.append(kept["values"][:count])
        return np.concatenate(parts)

    def _judge(
        self, judge: str, name: str, cell: Cell, number: int, info: ImageSetInfo
    ) -> dict[str, NDArray[Any]] | None:
        """Values of all images of a shard, written down; None where the shard is not there or damaged."""
        shard = self.store.read_shard(cell, number)
        if shard is None:
            return None
        assert info.prompts is not None
        first = sum(size for _, size in shard_sizes(info.samples)[:number])
        asked = CellImages(cell, self.store, first + len(shard.images)).labels[first:]
        prompts = [info.prompts.prompts[number] for number in asked]
        made = {"values": self._ask(judge, shard.images, prompts)}
        self.store.write_features(cell, name, number, made, shard.notes["sha256"])
        return made

    def _ask(self, judge: str, images: NDArray[np.uint8], prompts: Sequence[Prompt]) -> Values:
        """The judge's values. One that failed is let go, so that the next cell has a fresh one."""
        if judge not in self._loaded:
            stack = ExitStack()
            self._loaded[judge] = load_judge(judge, self.device, stack), stack
        try:
            return self._loaded[judge][0](images, prompts)
        except BaseException as error:
            self._loaded.pop(judge)[1].__exit__(type(error), error, error.__traceback__)
            raise


def judge_images(judge: Judging, images: ImageSet) -> Values:
    """Values (N,) of a set of images that came with their prompts."""
    assert images.prompts is not None
    assert images.labels is not None
    done, found = 0, []
    for part in images.parts():
        prompts = [images.prompts.prompts[number] for number in images.labels[done : done + len(part)]]
        found.append(judge(part, prompts))
        done += len(part)
    return np.concatenate(found)


def judged_name(judge: str, prompts: PromptSet) -> str:
    """What values depend on besides the images: the judge, its weights, and what was asked for."""
    digest = hashlib.sha256(f"{extractor_id(judge)} {prompts.sha256}".encode()).hexdigest()[:16]
    return f"{judge}-{digest}"
