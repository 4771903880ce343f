"""The packaged prompts: what the code draws, each once, every task from the first images on."""

from __future__ import annotations

from collections import Counter
from importlib import resources

import pytest

from sgbench.cells.prompt_records import TASKS, check_record, read_records
from sgbench.cells.prompts import load_prompts
from sgbench.zoo.shapes.captions import (
    COLOURS,
    COUNTS,
    HELD_OUT,
    HELD_OUT_PAIRS,
    MAX_WORDS,
    SHAPES,
    prompt_set,
    prompts_jsonl,
    token_ids,
)

PROMPTS = prompt_set()


def test_the_packaged_file_is_what_the_code_draws() -> None:
    packaged = (resources.files("sgbench.zoo") / "prompts" / "shapes.jsonl").read_text(encoding="utf-8")
    assert packaged == prompts_jsonl()


def test_every_task_has_its_number_of_prompts_each_once() -> None:
    assert Counter(caption.task for caption in PROMPTS) == COUNTS
    assert len({caption.text for caption in PROMPTS}) == len(PROMPTS) == 200
    assert Counter(caption.task for caption in PROMPTS if caption.held_out) == HELD_OUT


def test_every_shape_every_number_and_every_pair_held_out_is_asked_for() -> None:
    def texts(task: str) -> set[str]:
        return {caption.text for caption in PROMPTS if caption.task == task}

    assert texts("single_object") == {f"a {shape}" for shape in SHAPES}
    assert len(texts("counting")) == 3 * len(SHAPES)
    hidden = {(colour, shape) for c in PROMPTS if c.task == "colors" and c.held_out for shape, colour in c.named}
    assert hidden == HELD_OUT_PAIRS


@pytest.mark.parametrize("count", range(40, 200, 10))
def test_the_first_images_of_a_cell_ask_for_every_task_in_proportion(count: int) -> None:
    found = Counter(caption.task for caption in PROMPTS[:count])
    for task in TASKS:
        assert found[task] >= 2
        assert abs(found[task] - COUNTS[task] * count / 200) <= 1


def test_held_out_prompts_of_a_task_are_spread_over_it() -> None:
    for task, hidden in HELD_OUT.items():
        kinds = [caption.held_out for caption in PROMPTS if caption.task == task]
        half = sum(kinds[: len(kinds) // 2])
        assert abs(half - hidden / 2) <= 1


def test_the_benchmark_reads_the_packaged_set() -> None:
    loaded = load_prompts("shapes")
    assert [prompt.text for prompt in loaded.prompts] == [caption.text for caption in PROMPTS]
    assert [prompt.group for prompt in loaded.prompts] == [caption.task for caption in PROMPTS]
    assert [prompt.record["held_out"] for prompt in loaded.prompts] == [caption.held_out for caption in PROMPTS]
    for prompt in loaded.prompts:
        check_record({**prompt.record, "prompt": prompt.text}, "shapes", SHAPES, COLOURS)
        assert len(token_ids(prompt.text)) == MAX_WORDS


def test_the_reader_of_genevals_metadata_reads_it_too() -> None:
    assert read_records(prompts_jsonl(), "shapes", SHAPES, COLOURS) == [caption.metadata() for caption in PROMPTS]
