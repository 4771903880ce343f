"""Prompts, metrics and models of one suite: what does not fit together is refused before anything is drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sgbench import api
from sgbench.base.errors import UserError
from sgbench.cells.prompt_records import TASKS
from sgbench.suite.sweep import check_samples, expand
from sgbench.zoo.shapes.captions import SHAPES

Write = Callable[..., Path]
TEXT: dict[str, Any] = {
    "model": "shapes",
    "reference": None,
    "metrics": ["composition"],
    "prompts": "shapes",
    "sweep": [{"guidance": "none"}],
}


def record(prompt: str, name: str = "circle", task: str = "single_object", **more: object) -> dict[str, Any]:
    return {"tag": task, "include": [{"class": name, "count": 1, **more}], "prompt": prompt}


@pytest.fixture
def prompt_file(tmp_path: Path) -> Callable[..., str]:
    """Write records as JSON lines; the file's path."""

    def write(*records: dict[str, Any] | str) -> str:
        lines = [{"prompt": one} if isinstance(one, str) else one for one in records]
        (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, lines)))
        return str(tmp_path / "own.jsonl")

    return write


@pytest.fixture
def refused(suite_file: Write) -> Callable[..., str]:
    """What is said of a text suite with changes, as one sentence."""

    def load(**changes: Any) -> str:
        with pytest.raises(UserError) as caught:
            api.load_suite(suite_file(**{**TEXT, **changes}))
        text = str(caught.value)
        assert "\n" not in text
        return text

    return load


def test_a_suite_of_prompts_needs_no_reference(suite_file: Write) -> None:
    (cell,) = expand(api.load_suite(suite_file(**TEXT)))
    assert (cell.prompts, cell.autoencoder, cell.text_encoder) == ("shapes", "", "")


@pytest.mark.parametrize("metric", ["composition", "geneval", "hpsv2.1", "clipscore_x100"])
def test_metrics_of_prompts_need_prompts(refused: Callable[..., str], metric: str) -> None:
    said = refused(model="fashion-routing", metrics=[metric], prompts=None)
    assert f"tiny.yaml: prompts: {metric} judges images by their prompts, and the suite has no prompts" in said


def test_a_model_of_captions_needs_prompts(refused: Callable[..., str]) -> None:
    assert "shapes is a text-to-image model, and the suite has no prompts" in refused(metrics=[], prompts=None)


def test_a_metric_of_images_still_needs_a_reference(refused: Callable[..., str]) -> None:
    assert "reference: fd_lite0 needs a reference" in refused(metrics=["composition", "fd_lite0"])


def test_prompts_that_are_nowhere_are_suggested(refused: Callable[..., str]) -> None:
    assert "there are no prompts 'shpaes', did you mean 'shapes'?" in refused(prompts="shpaes")


@pytest.mark.parametrize(
    ("metric", "asked", "said"),
    [
        ("composition", record("a circle", "dog"), "own: prompt 2: unknown class 'dog'"),
        ("composition", record("a circle", color="pink"), "prompt 2: unknown colour 'pink'; known are red"),
        ("composition", record("a circle", task="poetry"), "own: prompt 2: unknown tag 'poetry'"),
        ("composition", "a circle", "own: prompt 2: the tag is missing"),
        ("geneval", record("a circle", "cirle"), "own: prompt 1: unknown class 'circle'"),
        ("geneval", record("a circle", "dog", color="gold"), "own: prompt 1: unknown class 'circle'"),
    ],
)  # fmt: skip
def test_records_that_a_detector_cannot_judge(
    refused: Callable[..., str], prompt_file: Callable[..., str], metric: str, asked: Any, said: str
) -> None:
    prompts = prompt_file(record("a ring" if metric == "composition" else "a circle"), asked)
    assert said in refused(metrics=[metric], prompts=prompts)


def test_colours_of_geneval_are_its_own(refused: Callable[..., str], prompt_file: Callable[..., str]) -> None:
    said = refused(metrics=["geneval"], prompts=prompt_file(record("a circle", "dog", color="gold")))
    assert "own: prompt 1: unknown colour 'gold'" in said
    # Pink is GenEval's and not of the drawn shapes.
    pink = prompt_file(record("a circle", "dog", color="pink"), record("a ring", "cat"))
    assert "unknown" not in refused(metrics=["geneval"], prompts=pink, samples=21)


def six_tasks(each: int = 2) -> list[dict[str, Any]]:
    return [record(f"a {shape}", "dog", task) for task in TASKS for shape in SHAPES[:each]]


def test_geneval_needs_prompts_of_all_tasks(refused: Callable[..., str], prompt_file: Callable[..., str]) -> None:
    said = refused(metrics=["geneval"], prompts=prompt_file(*six_tasks()[2:]))
    assert "own: there are no prompts for single_object, and GenEval is the mean of six tasks" in said


def test_geneval_needs_equally_many_images_of_every_prompt(
    refused: Callable[..., str], prompt_file: Callable[..., str], suite_file: Write
) -> None:
    """A few may still be drawn to look at, but they are not scored."""
    text = {**TEXT, "metrics": ["geneval"], "prompts": prompt_file(*six_tasks())}
    check_samples(api.load_suite(suite_file(**text, samples=24)))
    with pytest.raises(UserError) as caught:
        check_samples(api.load_suite(suite_file(**text, samples=22)))
    said = str(caught.value)
    assert "samples: geneval needs the same number of images for all 12 prompts, and samples is 22" in said
    assert said.endswith("write a multiple of 12; the published protocol has 48.")
    with pytest.raises(UserError, match="for all 12 prompts, and samples is 20"):
        check_samples(api.load_suite(suite_file(**text, samples=24), limit=20))
    assert "labels: geneval needs the same number of images for each prompt, and labels are random" in refused(
        metrics=["geneval"], prompts=text["prompts"], samples=24, labels="random"
    )


def test_every_task_is_asked_by_two_prompts_at_least(suite_file: Write, prompt_file: Callable[..., str]) -> None:
    last = record("a star", "star", "counting")
    prompts = prompt_file(*(record(f"a {shape}", shape) for shape in SHAPES for _ in range(3)), last, last)
    check_samples(api.load_suite(suite_file(**{**TEXT, "prompts": prompts, "samples": 26})))
    with pytest.raises(UserError, match=r"samples: the first 25 images are of fewer than 2 prompts of counting; raise"):
        check_samples(api.load_suite(suite_file(**{**TEXT, "prompts": prompts, "samples": 25})))


def test_words_that_the_shapes_model_does_not_know(
    refused: Callable[..., str], prompt_file: Callable[..., str]
) -> None:
    said = refused(prompts=prompt_file(record("a ring"), record("a crcle")))
    assert "own: prompt 2: the shapes model does not know the word 'crcle', did you mean 'circle'?" in said
    long = record("a red circle and a blue star and a ring")
    assert "own: prompt 1: the caption" in (said := refused(prompts=prompt_file(long)))
    assert "has 10 words, the shapes model reads 8; shorten it" in said


def test_any_prompt_will_do_for_preferences(suite_file: Write, prompt_file: Callable[..., str]) -> None:
    suite = suite_file(**{**TEXT, "metrics": ["hpsv2.1", "pickscore"], "prompts": prompt_file("a ring", "two stars")})
    assert len(expand(api.load_suite(suite))) == 1


def test_a_set_that_is_not_fetched_can_be_planned(
    suite_file: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SGBENCH_MODELS", str(tmp_path / "models"))
    suite = api.load_suite(suite_file(**{**TEXT, "prompts": "geneval", "metrics": ["geneval"], "samples": 21}))
    assert api.make_plan(suite, tmp_path).images == 21
    with pytest.raises(UserError, match=r"the prompts geneval are not on this machine; run `sgbench prompts fetch"):
        api.score_suite(suite, tmp_path, device="cpu")
    with pytest.raises(UserError, match=r"the prompts geneval are not on this machine"):
        api.run_suite(suite, tmp_path, device="cpu")
