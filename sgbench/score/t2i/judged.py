"""Values that a judge gives to images of prompts: made shard by shard, kept with the digest of their shard."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sgbench.run.store import Store, shard_sizes
from sgbench.score.compute import Fields, fields
from sgbench.score.expected import Facts
from sgbench.score.images import CellImages
from sgbench.score.metrics import METRICS
from sgbench.score.t2i.composition import TextScore, composition
from sgbench.score.t2i.geneval import judge as decide
from sgbench.score.t2i.judges import DRAWN, DRAWN_RULES, GENEVAL_JUDGE, JUDGES
from sgbench.score.weights import extractor_id, require
from sgbench.suite.cell import Cell
from sgbench.suite.prompts import Prompt, PromptSet

Values = NDArray[np.float64]
Judging = Callable[[NDArray[np.uint8], Sequence[Prompt]], Values]


def load_judge(name: str, device: torch.device, stack: ExitStack) -> Judging:
    """A judge ready to run: images uint8 (n, H, W, 3) and their prompts to values (n,).

    One that runs in a process of its own ends with `stack`. Raises UserError when weights are missing, damaged or of
    another network.
    """
    if name == DRAWN:
        return _drawn
    paths = [path for entry in JUDGES[name].weights for path in require(entry)]
    if name == GENEVAL_JUDGE:
        from sgbench.score.t2i import clip_colours, mask2former

        detector, colours = mask2former.load(paths[0].parent, device), clip_colours.load(paths[-1], device)

        def geneval(images: NDArray[np.uint8], prompts: Sequence[Prompt]) -> Values:
            found = []
            # One by one: a hundred masks an image at full size do not fit into memory by the shard.
            for image, prompt in zip(images, prompts, strict=True):
                seen = detector([image])[0]
                found.append(decide(prompt.record, seen, lambda group, of=image: colours(of, group)).correct)
            return np.array(found, dtype=np.float64)

        return geneval
    from sgbench.score.t2i.preference.scorer import load_scorer
    from sgbench.score.t2i.preference.worker import WorkerScorer

    scorer = load_scorer(name, paths, device)
    if isinstance(scorer, WorkerScorer):
        stack.enter_context(scorer)
    return lambda images, prompts: scorer(list(images), [prompt.text for prompt in prompts])


def _drawn(images: NDArray[np.uint8], prompts: Sequence[Prompt]) -> Values:
    from sgbench.score.t2i.drawn import detect

    right = []
    for image, prompt in zip(images, prompts, strict=True):
        seen = detect(image)
        colours = {found.box: colour for found, colour in seen}
        verdict = decide(
            prompt.record,
            [found for found, _ in seen],
            lambda group, of=colours: [of[d.box] for d in group],
            DRAWN_RULES,
        )
        right.append(verdict.correct)
    return np.array(right, dtype=np.float64)


class TextScorer:
    """Scores cells by metrics of prompts; judges are loaded when the first shard without values needs them."""

    def __init__(self, store: Store, device: torch.device) -> None:
        self.store, self.device = store, device
        self._loaded: dict[str, Judging] = {}
        self._stack = ExitStack()

    def close(self) -> None:
        """End the processes of judges that have their own."""
        self._loaded.clear()
        self._stack.close()

    def score(self, metric: str, cell: Cell, facts: Facts) -> Fields:
        """A metric of a cell's images as it stands in scores.json, groups of prompts apart.

        Raises IncompleteError where images are missing, NoScoreError where a group has too few.
        """
        assert facts.prompts is not None and facts.labels is not None
        values = METRICS[metric].factor * self._values(METRICS[metric].extractor, cell, facts)
        return told(composition(values, facts.labels, facts.prompts.prompts, facts.where), facts.where)

    def _values(self, judge: str, cell: Cell, facts: Facts) -> Values:
        assert facts.prompts is not None and facts.labels is not None
        name = judged_name(judge, facts.prompts)
        parts = []
        for number, count in shard_sizes(facts.samples):
            noted = self.store.shard_sha256(cell, number)
            kept = None if noted is None else self.store.read_features(cell, name, number, noted)
            if kept is None:
                kept = self._judge(judge, name, cell, number, facts)
            if kept is None or len(kept["values"]) < count:
                raise CellImages(cell, self.store, facts.samples).incomplete()
            parts.append(kept["values"][:count])
        return np.concatenate(parts)

    def _judge(self, judge: str, name: str, cell: Cell, number: int, facts: Facts) -> dict[str, NDArray[Any]] | None:
        """Values of all images of a shard, written down; None where the shard is not there or damaged."""
        shard = self.store.read_shard(cell, number)
        if shard is None:
            return None
        if judge not in self._loaded:
            self._loaded[judge] = load_judge(judge, self.device, self._stack)
        assert facts.prompts is not None
        first = sum(size for _, size in shard_sizes(facts.samples)[:number])
        asked = CellImages(cell, self.store, first + len(shard.images)).labels[first:]
        prompts = [facts.prompts.prompts[number] for number in asked]
        made = {"values": self._loaded[judge](shard.images, prompts)}
        self.store.write_features(cell, name, number, made, shard.notes["sha256"])
        return made


def judged_name(judge: str, prompts: PromptSet) -> str:
    """What values depend on besides the images: the judge, its weights, and what was asked for."""
    digest = hashlib.sha256(f"{extractor_id(judge)} {prompts.sha256}".encode()).hexdigest()[:16]
    return f"{judge}-{digest}"


def told(score: TextScore, where: str) -> Fields:
    """A score of prompts as it stands in scores.json."""
    groups = {
        name: {"value": estimate.value, "standard_error": estimate.standard_error, "images": count}
        for name, (estimate, count) in score.groups.items()
    }
    return {**fields(score.overall, where), "groups": groups}
