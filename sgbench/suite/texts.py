"""Whether prompts, models and metrics of a suite fit together; every refusal says why. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgbench.errors import UserError
from sgbench.score.metrics import METRICS
from sgbench.score.t2i.judges import DRAWN
from sgbench.score.t2i.records import COCO_CLASSES, check_record
from sgbench.score.t2i.records import COLOURS as COCO_COLOURS
from sgbench.suite.prompts import PromptSet, find_prompts, load_prompts
from sgbench.suite.schema import Suite
from sgbench.zoo.shapes.vocabulary import COLOURS, SHAPES, token_ids

if TYPE_CHECKING:
    from sgbench.models.catalogue import Entry


def check_texts(suite: Suite) -> None:
    """Whether metrics of prompts can be had of a suite's prompts. A set that is not fetched yet is not looked at."""
    judging = [metric for metric in suite.metrics if METRICS[metric].text]
    if judging and not suite.prompts:
        raise UserError(
            f"{judging[0]} judges images by their prompts, and the suite has none",
            where=f"{suite.where}: prompts",
            fix="name a prompt set, or remove the metric",
        )
    if not suite.prompts or not find_prompts(suite.prompts).exists():
        return
    prompts = load_prompts(suite.prompts, f"{suite.where}: prompts")
    for metric in judging:
        check_records(metric, prompts)
    if "geneval" in suite.metrics and suite.samples % len(prompts.prompts):
        raise UserError(
            f"geneval needs equally many images of each of {len(prompts.prompts)} prompts, and {suite.samples} leave "
            f"{-suite.samples % len(prompts.prompts)} missing",
            where=f"{suite.where}: samples",
            fix=f"write a multiple of {len(prompts.prompts)}; the published protocol draws {4 * len(prompts.prompts)}",
        )


def check_records(metric: str, prompts: PromptSet) -> None:
    """Whether a metric of composition can read what every prompt asks for; any prompt will do for other metrics."""
    if METRICS[metric].kind == "composition":
        known = (SHAPES, COLOURS) if METRICS[metric].extractor == DRAWN else (COCO_CLASSES, COCO_COLOURS)
        for number, prompt in enumerate(prompts.prompts, start=1):
            record = {**prompt.record, "prompt": prompt.text}
            check_record(record, f"{prompts.name}: prompt {number}", *known)


def check_captions(model: Entry, suite: Suite) -> None:
    """Whether a model that knows few words can read every prompt."""
    if model.architecture.family == "textdit" and find_prompts(suite.prompts).exists():
        prompts = load_prompts(suite.prompts)
        for number, prompt in enumerate(prompts.prompts, start=1):
            token_ids(prompt.text, f"{prompts.name}: prompt {number}")
