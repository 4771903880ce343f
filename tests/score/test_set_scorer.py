"""Values of judges: kept shard by shard, made anew where anything they depend on changed, summed up by group."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from numpy.typing import NDArray

from sgbench.base.errors import NoScoreError, UserError
from sgbench.base.progress import Silent
from sgbench.cells.cell import Cell
from sgbench.cells.prompts import Prompt, from_records
from sgbench.guidance.settings import Guidance
from sgbench.images.sets import info_of
from sgbench.metrics import weights
from sgbench.metrics.judges.catalogue import JUDGES
from sgbench.metrics.judges.load import JudgeFn
from sgbench.metrics.preference import cosine
from sgbench.results.store import Store
from sgbench.samplers.settings import Sampler
from sgbench.score import set_scorer
from sgbench.score.cell_images import CellImages, IncompleteError
from sgbench.score.set_scorer import SetScorer, judged_name
from sgbench.zoo.shapes.captions import coloured, placed, several, single
from sgbench.zoo.shapes.scenes import render, sample_scene

CPU = torch.device("cpu")
# The last two are held out of training.
CAPTIONS = [
    single("circle"), single("ring"), several("cross", "two"), several("square", "three"), coloured("star", "red"),
    coloured("heart", "blue"), placed("circle", "left of", "star"), placed("heart", "above", "cross"),
    coloured("square", "red"), coloured("cross", "white"),
]  # fmt: skip
SHARD = len(CAPTIONS)
Images = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sgbench.results.store.SHARD", SHARD)


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    """A cell that asks for each caption in turn."""
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(json.dumps(caption.metadata()) for caption in CAPTIONS))
    return Cell("shapes", Guidance("cfg", 2.0), Sampler("euler", 2), 0, "balanced", "float32", prompts=str(path))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Name and images of every call of a judge; the judges are the real ones."""
    made: list[tuple[str, int]] = []
    real = set_scorer.load_judge

    def load(name: str, device: torch.device, stack: ExitStack) -> JudgeFn:
        judge = real(name, device, stack)

        def noted(images: Images, prompts: Sequence[Prompt]) -> NDArray[np.float64]:
            made.append((name, len(images)))
            return judge(images, prompts)

        return noted

    monkeypatch.setattr(set_scorer, "load_judge", load)
    return made


def drawn(number: int, wrong: Sequence[int] = (), count: int = SHARD, first: int = 0) -> Images:
    """A shard of renders of the captions in turn; those whose place is in `wrong` show an empty ground."""
    random = np.random.default_rng(number)
    found = [render(sample_scene(random, CAPTIONS[i % SHARD])) for i in range(first, first + count)]
    return np.stack([np.full_like(image, 120) if i in wrong else image for i, image in enumerate(found)])


def store_of(folder: Path, cell: Cell, *shards: Images) -> Store:
    store = Store(folder, "s")
    for number, images in enumerate(shards):
        store.write_shard(cell, number, images, {})
    return store


def score(store: Store, cell: Cell, samples: int, metric: str = "composition") -> dict[str, Any]:
    with scorer_of(metric) as scorer:
        return score_by(scorer, CellImages(cell, store, samples), metric)


def scorer_of(metric: str) -> SetScorer:
    return SetScorer([metric], "", "", CPU, Silent())


def score_by(scorer: SetScorer, images: CellImages, metric: str = "composition") -> dict[str, Any]:
    found, failure = scorer.score(images, info_of(images), [metric])
    if failure is not None:
        raise failure
    return found[metric]


def values_below(store: Store, cell: Cell) -> list[Path]:
    return sorted((store.cell_folder(cell) / "features").rglob("*.npz"))


# Composition


def test_renders_of_every_prompt_are_all_right(tmp_path: Path, cell: Cell) -> None:
    found = score(store_of(tmp_path, cell, drawn(0), drawn(1)), cell, 2 * SHARD)
    assert (found["value"], found["standard_error"]) == (1.0, 0.0)
    groups = {name: (part["value"], part["images"]) for name, part in found["groups"].items()}
    assert groups == {
        "single_object": (1.0, 4), "counting": (1.0, 4), "colors": (1.0, 8), "position": (1.0, 4),
        "seen": (1.0, 4), "held_out": (1.0, 4),
    }  # fmt: skip


def test_each_group_has_its_own_value_and_tasks_count_alike(tmp_path: Path, cell: Cell) -> None:
    """Wrong: one of two counting prompts, always; one of the held-out colours, in one image of two.

    Seen and held out are held against each other over colours alone, the one task that has both.
    """
    found = score(store_of(tmp_path, cell, drawn(0, [3, 8]), drawn(1, [3])), cell, 2 * SHARD)
    values = {name: part["value"] for name, part in found["groups"].items()}
    assert values == {
        "single_object": 1.0, "counting": 0.5, "colors": 7 / 8, "position": 1.0,
        "seen": 1.0, "held_out": 3 / 4,
    }  # fmt: skip
    assert found["value"] == pytest.approx((1 + 0.5 + 7 / 8 + 1) / 4)
    assert found["standard_error"] > 0
    assert len(found["replicates"]) == 20


def test_images_of_other_prompts_are_wrong(tmp_path: Path, cell: Cell) -> None:
    shifted = np.roll(drawn(0), 1, axis=0)
    assert score(store_of(tmp_path, cell, shifted), cell, SHARD)["value"] == 0.0


def test_a_group_of_which_one_prompt_is_shown_has_no_score(tmp_path: Path, cell: Cell) -> None:
    with pytest.raises(NoScoreError, match="the images show fewer than 2 prompts of counting; generate more images"):
        score(store_of(tmp_path, cell, drawn(0)), cell, 3)


# What is kept


@pytest.mark.slow
def test_values_are_kept_and_a_damaged_or_changed_shard_is_judged_again(
    tmp_path: Path, cell: Cell, calls: list[tuple[str, int]]
) -> None:
    store = store_of(tmp_path, cell, drawn(0), drawn(1), drawn(2))
    first = score(store, cell, 3 * SHARD)
    assert calls == [("drawn", SHARD)] * 3
    assert score(store, cell, 3 * SHARD) == first
    assert len(calls) == 3
    # Values that are damaged.
    kept = values_below(store, cell)
    assert len(kept) == 3
    kept[1].write_bytes(kept[1].read_bytes()[:-10])
    assert score(store, cell, 3 * SHARD) == first
    assert len(calls) == 4
    # Images that are others now.
    store.write_shard(cell, 2, drawn(2, [0]), {})
    assert score(store, cell, 3 * SHARD)["value"] < 1
    assert len(calls) == 5
    # Fewer images are a prefix of the same values.
    assert score(store, cell, SHARD)["value"] == 1.0
    assert len(calls) == 5


def test_a_shard_that_grew_is_judged_as_a_whole(
    tmp_path: Path, cell: Cell, calls: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the prompts go on where the shard before it ended."""
    monkeypatch.setattr("sgbench.results.store.SHARD", 7)
    store = store_of(tmp_path, cell, drawn(0, count=7), drawn(1, count=3, first=7))
    assert score(store, cell, 10)["value"] == 1.0
    store.write_shard(cell, 1, drawn(1, count=7, first=7), {})
    assert score(store, cell, 14)["value"] == 1.0
    assert calls == [("drawn", 7), ("drawn", 3), ("drawn", 7)]


def test_damaged_and_missing_shards_have_no_score(tmp_path: Path, cell: Cell) -> None:
    store = store_of(tmp_path, cell, drawn(0))
    with pytest.raises(IncompleteError, match="the first 20 images are not all there, or some are damaged"):
        score(store, cell, 2 * SHARD)
    store.write_shard(cell, 1, drawn(1), {})
    path = store.cell_folder(cell) / "shards" / "00001.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IncompleteError, match="not all there, or some are damaged"):
        score(store, cell, 2 * SHARD)
    with pytest.raises(IncompleteError):
        score(store, cell, SHARD + 1)
    assert score(store, cell, SHARD)["value"] == 1.0


def test_changed_prompts_are_judged_anew(tmp_path: Path, cell: Cell, calls: list[tuple[str, int]]) -> None:
    store = store_of(tmp_path, cell, drawn(0))
    images, others = (CellImages(cell, store, SHARD) for _ in range(2))
    records = [caption.metadata() for caption in CAPTIONS]
    records[0] = single("heart").metadata()
    others.prompts = from_records("own", records, "own")
    assert images.prompts is not None
    assert judged_name("drawn", others.prompts) != judged_name("drawn", images.prompts)
    scorer = scorer_of("composition")
    assert score_by(scorer, images)["value"] == 1.0
    assert score_by(scorer, others)["value"] == pytest.approx(7 / 8)
    assert score_by(scorer, images)["value"] == 1.0
    assert calls == [("drawn", SHARD)] * 2


def test_a_judge_that_fails_in_the_middle_keeps_the_shards_that_were_done(
    tmp_path: Path, cell: Cell, calls: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(tmp_path, cell, drawn(0), drawn(1), drawn(2))
    load = set_scorer.load_judge

    def failing(name: str, device: torch.device, stack: ExitStack) -> JudgeFn:
        judge = load(name, device, stack)

        def judging(images: Images, prompts: Sequence[Prompt]) -> NDArray[np.float64]:
            if len(calls) == 2:
                raise NoScoreError("the process ended", where="judge", fix="run it again")
            return judge(images, prompts)

        return judging

    with monkeypatch.context() as patch:
        patch.setattr(set_scorer, "load_judge", failing)
        with pytest.raises(NoScoreError, match="the process ended"):
            score(store, cell, 3 * SHARD)
    assert [path.name for path in values_below(store, cell)] == ["00000.npz", "00001.npz"]
    assert score(store, cell, 3 * SHARD)["value"] == 1.0
    assert calls == [("drawn", SHARD)] * 3


# Preference


VISION = {"image_size": 28, "layers": 1, "width": 32, "head_width": 16, "patch_size": 14}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
CONFIG = {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": TEXT}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HPSv2.1 of a small size with random weights, where the project looks for it."""
    folder = tmp_path_factory.mktemp("weights")
    path = folder / "hpsv2.1" / "HPS_v2.1_compressed.pt"
    path.parent.mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save({"state_dict": open_clip.CLIP(**CONFIG).state_dict()}, path)
    return folder


@pytest.fixture
def tiny_hps(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SGBENCH_WEIGHTS", str(checkpoint))
    monkeypatch.setattr(cosine, "published", lambda model: CONFIG)


@pytest.fixture
def styles(tmp_path: Path) -> Cell:
    """A cell that asks for prompts of two styles."""
    for style in ("anime", "photo"):
        path = tmp_path / "styles" / f"{style}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps([f"{style} of {what}" for what in ("a cat", "<b> & co", "zwei Kühe")]))
    cell = Cell("shapes", Guidance("none"), Sampler("euler", 2), 0, "balanced", "float32")
    return cell._replace(prompts=str(tmp_path / "styles"))


def test_a_judge_that_failed_is_let_go_and_loaded_anew(
    tmp_path: Path, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what runs beside it is ended, before the next cell is scored and at the end."""
    store = store_of(tmp_path, cell, drawn(0))
    ended: list[int] = []
    loads: list[str] = []
    real = set_scorer.load_judge

    def load(name: str, device: torch.device, stack: ExitStack) -> JudgeFn:
        loads.append(name)
        stack.callback(ended.append, len(loads))
        if len(loads) > 1:
            return real(name, device, stack)

        def dead(images: Images, prompts: Sequence[Prompt]) -> NDArray[np.float64]:
            raise NoScoreError("the process ended", where="judge", fix="run it again")

        return dead

    monkeypatch.setattr(set_scorer, "load_judge", load)
    images = CellImages(cell, store, SHARD)
    with scorer_of("composition") as scorer:
        with pytest.raises(NoScoreError, match="the process ended"):
            score_by(scorer, images)
        assert ended == [1]
        assert score_by(scorer, images)["value"] == 1.0
        assert ended == [1]
    assert ended == [1, 2]


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_hps")
def test_preferences_are_given_by_style_and_times_100_is_times_100(
    tmp_path: Path, styles: Cell, calls: list[tuple[str, int]]
) -> None:
    store = store_of(tmp_path, styles, drawn(0), drawn(1, count=2))
    raw, published = (score(store, styles, 12, metric) for metric in ("hpsv2.1", "hpsv2.1_x100"))
    # One pass serves both forms.
    assert calls == [("hpsv2.1", 10), ("hpsv2.1", 2)]
    assert -1 < raw["value"] < 1
    assert raw["standard_error"] > 0
    for key in ("value", "standard_error", "replicates"):
        assert published[key] == pytest.approx(np.multiply(100, raw[key]).tolist(), rel=1e-9)
    assert {name: part["images"] for name, part in raw["groups"].items()} == {"anime": 6, "photo": 6}
    means = [part["value"] for part in raw["groups"].values()]
    assert raw["value"] == pytest.approx(np.mean(means))
    assert means[0] != means[1]


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_hps")
def test_a_preference_is_of_an_image_and_its_own_prompt(tmp_path: Path, styles: Cell) -> None:
    """Against the scorer itself, pair by pair."""
    images = drawn(0, count=8)
    store = store_of(tmp_path, styles, images)
    facts = info_of(CellImages(styles, store, 8))
    assert facts.prompts is not None
    score(store, styles, 8, "hpsv2.1")
    (path,) = values_below(store, styles)
    assert path.parent.name == judged_name("hpsv2.1", facts.prompts)
    scorer = cosine.load_hps(JUDGES["hpsv2.1"], weights.require("hpsv2.1"), CPU)
    alone = [scorer([image], [facts.prompts.prompts[i % 6].text])[0] for i, image in enumerate(images)]
    assert np.load(path)["values"] == pytest.approx(alone, abs=1e-6)


@pytest.mark.usefixtures("tiny_hps")
def test_other_weights_are_another_judge(tmp_path: Path, styles: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = from_records("own", [{"prompt": "a cat"}], "own")
    before = judged_name("hpsv2.1", prompts)
    other = tmp_path / "hpsv2.1" / "HPS_v2.1_compressed.pt"
    other.parent.mkdir()
    torch.save({"state_dict": {"logit_scale": torch.zeros(())}}, other)
    monkeypatch.setenv("SGBENCH_WEIGHTS", str(tmp_path))
    assert judged_name("hpsv2.1", prompts) != before
    with pytest.raises(UserError, match=r"HPS_v2.1_compressed.pt: .*do not fit the network"):
        score(store_of(tmp_path, styles, drawn(0)), styles, SHARD, "hpsv2.1")


@pytest.mark.parametrize("metric", ["geneval", "hpsv2", "imagereward"])
def test_missing_weights_are_one_sentence(
    tmp_path: Path, cell: Cell, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SGBENCH_WEIGHTS", "TORCH_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    with pytest.raises(UserError, match=r"are missing \(looked for .*run `sgbench weights fetch \w+`") as caught:
        score(store_of(tmp_path, cell, drawn(0)), cell, SHARD, metric)
    assert "\n" not in str(caught.value)
