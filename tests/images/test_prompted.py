"""Anybody's images of prompts: in the order of a set or in GenEval's folders, and scored from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from sgbench.base.errors import NoScoreError, UserError
from sgbench.cells.prompt_records import TASKS
from sgbench.cells.prompts import load_prompts
from sgbench.cli.app import app
from sgbench.images.prompted import LayoutImages, PromptedImages, is_layout, write_layout
from sgbench.images.sets import open_images
from sgbench.zoo.shapes.captions import Caption, coloured, prompt_set, single
from sgbench.zoo.shapes.scenes import render, sample_scene

CAPTIONS = [single("circle"), coloured("star", "red"), single("heart"), coloured("ring", "blue")]
# One of each of GenEval's tasks, whatever its name would ask for.
COCO: list[dict[str, Any]] = [
    {"tag": task, "include": [{"class": "dog", "count": 1}], "prompt": f"a photo for {task}"} for task in TASKS
]


def renders(captions: list[Caption], seed: int = 0) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    return np.stack([render(sample_scene(random, caption)) for caption in captions])


def prompt_file(folder: Path, captions: list[Caption]) -> Path:
    path = folder / "own.jsonl"
    path.write_text("\n".join(json.dumps(caption.metadata()) for caption in captions))
    return path


def picture_folder(folder: Path, images: NDArray[np.uint8]) -> Path:
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """Six prompts with two images each, of different sizes."""

    def images_of(prompt: int) -> list[NDArray[np.uint8]]:
        rng = np.random.default_rng(prompt)
        return [rng.integers(0, 256, (8, 6 + prompt, 3), dtype=np.uint8) for _ in range(2)]

    write_layout(tmp_path / "set", COCO, images_of)
    return tmp_path / "set"


def run(*arguments: object) -> str:
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False).stdout


def refused(*arguments: object) -> str:
    with pytest.raises(UserError) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Sets


def test_image_i_shows_prompt_i_modulo_their_number(tmp_path: Path) -> None:
    folder = picture_folder(tmp_path / "set", renders(CAPTIONS * 3))
    prompts = load_prompts(str(prompt_file(tmp_path, CAPTIONS)))
    found = PromptedImages(open_images(folder), prompts)  # type: ignore[arg-type]
    assert found.labels.tolist() == [0, 1, 2, 3] * 3
    assert (found.count, found.label_policy, found.prompts) == (12, "balanced", prompts)
    # The tenth file follows the ninth, whatever the alphabet says.
    assert np.array_equal(np.concatenate(list(found.parts())), renders(CAPTIONS * 3))


def test_images_that_are_missing_are_counted(tmp_path: Path) -> None:
    folder = picture_folder(tmp_path / "set", renders(CAPTIONS * 3)[:10])
    prompts = load_prompts(str(prompt_file(tmp_path, CAPTIONS)))
    with pytest.raises(NoScoreError, match=r"set: 2 images are missing: there are 10, and own has 4 prompts; generate"):
        PromptedImages(open_images(folder), prompts)  # type: ignore[arg-type]


def test_genevals_folders_bring_their_prompts(layout: Path) -> None:
    assert is_layout(layout)
    found = LayoutImages(layout)
    assert (found.count, found.label_policy) == (12, "balanced")
    assert found.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert [(p.text, p.group) for p in found.prompts.prompts] == [(f"a photo for {task}", task) for task in TASKS]
    assert [part.shape for part in found.parts()][1:3] == [(1, 8, 6, 3), (1, 8, 7, 3)]


def test_a_layout_with_a_missing_image_has_no_score(layout: Path) -> None:
    (layout / "00001" / "samples" / "0000.png").unlink()
    with pytest.raises(NoScoreError, match=r"1 of 12 images are missing \(first: 00001/samples/0000.png\)"):
        LayoutImages(layout)


def test_what_is_no_layout(tmp_path: Path, layout: Path) -> None:
    assert not is_layout(picture_folder(tmp_path / "pictures", renders(CAPTIONS)))
    assert not is_layout(tmp_path / "absent")
    assert not is_layout(layout / "00000" / "metadata.jsonl")
    (tmp_path / "named" / "one").mkdir(parents=True)
    (tmp_path / "named" / "one" / "metadata.jsonl").touch()
    assert not is_layout(tmp_path / "named")


# `sgbench score IMAGES --prompts`


@pytest.mark.slow
def test_renders_of_all_packaged_prompts_score_one(tmp_path: Path) -> None:
    place = tmp_path / "set.npz"
    np.savez(place, arr_0=renders(prompt_set()))
    arguments = ("score", place, "--prompts", "shapes", "--metrics", "composition")
    (found,) = json.loads(run(*arguments, "--json").splitlines()[-1])["sets"]
    score = found["scores"]["composition"]
    assert score["value"] == 1.0
    assert {name: part["value"] for name, part in score["groups"].items()} == dict.fromkeys(
        ("single_object", "two_object", "counting", "colors", "position", "color_attr", "seen", "held_out"), 1.0
    )
    assert score["protocol"]["reference"] == "none"
    assert score["protocol"]["prompts"] == load_prompts("shapes").describe()
    assert score["protocol"]["samples"] == 200


@pytest.mark.slow
def test_two_sets_stand_in_one_table(tmp_path: Path) -> None:
    right = picture_folder(tmp_path / "right", renders(CAPTIONS * 5))
    wrong = picture_folder(tmp_path / "wrong", np.roll(renders(CAPTIONS * 5), 1, axis=0))
    asked = ("--prompts", prompt_file(tmp_path, CAPTIONS), "--metrics", "composition")
    lines = run("score", right, wrong, *asked).splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == ["images", "N", "composition"]
    assert "1.000" in lines[2]
    assert "| 0" in lines[3]
    told = json.loads(run("score", right, *asked, "--explain", "--json").splitlines()[-1])["protocols"]
    assert [p["prompts"] for p in told] == [load_prompts(str(asked[1])).describe()]


def test_images_without_prompts_are_one_sentence(tmp_path: Path) -> None:
    folder = picture_folder(tmp_path / "set", renders(CAPTIONS * 5))
    asked = ("score", folder, "--metrics", "composition")
    assert "scores of images need metrics" in refused(*asked)
    said = refused(*asked, "--reference", folder)
    assert "composition judges images by their prompts, and these have none; add --prompts FILE." in said
    assert "fd_lite0 compares images with a reference; name one" in refused(
        "score", folder, "--metrics", "fd_lite0", "--prompts", "shapes"
    )


@pytest.mark.slow
def test_images_that_do_not_fit_their_prompts_are_one_sentence(tmp_path: Path, layout: Path) -> None:
    folder = picture_folder(tmp_path / "few", renders(CAPTIONS * 5)[:19])
    prompts = prompt_file(tmp_path, CAPTIONS)
    asked = ("--metrics", "composition", "--prompts")
    assert "1 images are missing: there are 19, and own has 4 prompts" in refused("score", folder, *asked, prompts)
    assert "there are no prompts 'shaeps', did you mean 'shapes'?" in refused("score", folder, *asked, "shaeps")
    (tmp_path / "plain.txt").write_text("a circle\na star")
    assert "plain: prompt 1: the tag is missing" in refused(
        "score", picture_folder(tmp_path / "two", renders(CAPTIONS)), *asked, tmp_path / "plain.txt"
    )
    assert "GenEval's folders contain their prompts; leave it out" in refused("score", layout, *asked, prompts)


@pytest.mark.parametrize(("shape", "what"), [((48, 48, 3), "48 x 48"), ((32, 32), "32 x 32")])
def test_images_that_are_no_drawn_shapes_are_one_sentence(
    tmp_path: Path, image_folder: Callable[..., Path], shape: tuple[int, ...], what: str
) -> None:
    folder = image_folder("photographs", 4, side=shape[0], channels=3 if len(shape) == 3 else 1)
    said = refused("score", folder, "--metrics", "composition", "--prompts", prompt_file(tmp_path, CAPTIONS))
    assert f"an image has {what}" in said


def test_a_layout_asks_for_the_weights_of_its_metric(
    layout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SGBENCH_WEIGHTS", "TORCH_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    assert "run `sgbench weights fetch mask2former`" in refused("score", layout, "--metrics", "geneval")
    # Its records name objects of COCO, which no detector of drawn shapes knows.
    assert "unknown class 'dog'" in refused("score", layout, "--metrics", "composition")
