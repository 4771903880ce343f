"""Whether prompts, models and metrics of a suite fit together; every refusal says why. No torch."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sgbench.base.errors import UserError
from sgbench.cells.prompt_records import COCO_CLASSES, TASKS, check_record
from sgbench.cells.prompt_records import COLOURS as COCO_COLOURS
from sgbench.cells.prompts import PromptSet, is_there, load_prompts, may_come
from sgbench.metrics.catalogue import METRICS
from sgbench.metrics.judges.catalogue import DRAWN, FEWEST
from sgbench.metrics.scores.composition import Composition
from sgbench.suite.schema import Suite
from sgbench.zoo.shapes.captions import COLOURS, SHAPES, token_ids

if TYPE_CHECKING:
    from sgbench.models.catalogue import ModelInfo


def check_texts(suite: Suite) -> None:
    """Whether the suite's prompts suit its prompt-based metrics. A set that is not fetched yet is not checked."""
    judging = [metric for metric in suite.metrics if METRICS[metric].text]
    if judging and not suite.prompts:
        raise UserError(
            f"{judging[0]} judges images by their prompts, and the suite has no prompts",
            where=f"{suite.where}: prompts",
            fix="name a prompt set, or remove the metric",
        )
    if not suite.prompts or (not is_there(suite.prompts) and may_come(suite.prompts)):
        return
    prompts = load_prompts(suite.prompts, f"{suite.where}: prompts")
    for metric in judging:
        check_records(metric, prompts)
    if "geneval" in suite.metrics and suite.labels != "balanced":
        raise UserError(
            f"geneval needs the same number of images for each prompt, and labels are {suite.labels}",
            where=f"{suite.where}: labels",
            fix="write `labels: balanced`",
        )


def check_enough(suite: Suite) -> None:
    """Raise UserError if there are too few images for prompt-based metrics; a few may still be sampled."""
    judging = [metric for metric in suite.metrics if METRICS[metric].text]
    if not judging or not is_there(suite.prompts):
        return
    prompts = load_prompts(suite.prompts).prompts
    if "geneval" in suite.metrics and suite.samples % len(prompts):
        raise UserError(
            f"geneval needs the same number of images for all {len(prompts)} prompts, and samples is {suite.samples}",
            where=f"{suite.where}: samples",
            fix=f"write a multiple of {len(prompts)}; the published protocol has {4 * len(prompts)}",
        )
    if suite.labels == "balanced" and any(isinstance(METRICS[metric], Composition) for metric in judging):
        shown = Counter(prompt.group for prompt in prompts[: suite.samples])
        for group in dict.fromkeys(prompt.group for prompt in prompts):
            if shown[group] < FEWEST:
                raise UserError(
                    f"the first {suite.samples} images are of fewer than {FEWEST} prompts of {group or 'the set'}",
                    where=f"{suite.where}: samples",
                    fix="raise samples (or --limit), so that every task is covered",
                )


def check_records(metric: str, prompts: PromptSet) -> None:
    """Whether every prompt has the record that a composition metric reads; other metrics take any prompt."""
    if isinstance(METRICS[metric], Composition):
        known = (SHAPES, COLOURS) if METRICS[metric].extractor == DRAWN else (COCO_CLASSES, COCO_COLOURS)
        for number, prompt in enumerate(prompts.prompts, start=1):
            record = {**prompt.record, "prompt": prompt.text}
            check_record(record, f"{prompts.name}: prompt {number}", *known)
    absent = [task for task in TASKS if task not in {prompt.group for prompt in prompts.prompts}]
    if metric == "geneval" and absent:
        raise UserError(
            f"there are no prompts for {', '.join(absent)}, and GenEval is the mean of six tasks",
            where=prompts.name,
            fix="give prompts of every task",
        )


def check_captions(model: ModelInfo, suite: Suite) -> None:
    """Whether a model with a closed vocabulary knows every word of the prompts."""
    if model.architecture.family == "textdit" and is_there(suite.prompts):
        prompts = load_prompts(suite.prompts)
        for number, prompt in enumerate(prompts.prompts, start=1):
            token_ids(prompt.text, f"{prompts.name}: prompt {number}")
