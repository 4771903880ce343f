"""What networks are conditioned on, and images of the packaged text-to-image model. Nothing here is about quality."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.cells.prompts import load_prompts
from sgbench.guidance import RULES
from sgbench.guidance.perturbation import layers
from sgbench.guidance.schedules import ALWAYS
from sgbench.guidance.settings import Guidance
from sgbench.samplers.settings import Sampler
from sgbench.sampling import conditions
from sgbench.sampling.conditions import CaptionConditions, ClassConditions, NoCaptions, WordConditions, labels_for
from sgbench.sampling.engine import group_size, sample
from sgbench.sampling.networks import Networks, load_networks
from sgbench.zoo.shapes.captions import MAX_WORDS, PAD, WORDS, token_ids

CPU = torch.device("cpu")
GROUP = group_size(64)
PERTURBED = (("perturb_scale", 2.0), ("layers", layers("2-3")), ("perturb_interval", ALWAYS))
GUIDANCE = [
    Guidance("none", 1.0, 0.5),
    Guidance("cfg", 2.0),
    Guidance("sg", 2.0, 0.25, 0.75),
    Guidance("cfg+sg", 2.0, 0.25, 0.75),
    Guidance("ag", 2.0),
    Guidance("icg", 2.0),
    Guidance("pag", 2.0, parameters=PERTURBED),
]


def cell(prompts: str | Path = "shapes", guidance: Guidance = GUIDANCE[1], labels: str = "balanced") -> Cell:
    return Cell("shapes", guidance, Sampler("euler", 2), 7, labels, "float32", prompts=str(prompts))


def networks_of(chosen: Cell) -> Networks:
    return load_networks(chosen, RULES[chosen.guidance.rule].needs_auxiliary, CPU)


def prompt_file(folder: Path, *prompts: str) -> Path:
    path = folder / "own.txt"
    path.write_text("\n".join(prompts))
    return path


# Conditions


def test_classes_are_their_own_numbers() -> None:
    found = ClassConditions(10, CPU)
    assert found.null.tolist() == [10]
    assert found.of(torch.tensor([3, 0])).tolist() == [3, 0]


def test_words_are_those_of_the_prompt_asked_for(tmp_path: Path) -> None:
    found = WordConditions(cell(prompt_file(tmp_path, "a red circle", "two stars")), CPU)
    words = found.of(torch.tensor([1, 0, 1]))
    assert words.dtype == torch.int64
    assert [[WORDS[i - 1] for i in row if i != PAD] for row in words.tolist()] == [
        ["two", "stars"], ["a", "red", "circle"], ["two", "stars"],
    ]  # fmt: skip
    assert found.null.tolist() == [[PAD] * MAX_WORDS]


@pytest.mark.slow
def test_words_that_are_unknown_are_named_with_their_prompt(tmp_path: Path) -> None:
    path = prompt_file(tmp_path, "a red circle", "a red dog")
    with pytest.raises(UserError, match=r"own: prompt 2: the shapes model does not know the word 'dog'"):
        WordConditions(cell(path), CPU)
    with pytest.raises(UserError, match=r"own: prompt 2: the shapes model does not know the word 'dog'"):
        networks_of(cell(path))


LONGEST = 9


class Lengths:
    """An encoder that writes down what it is asked, and says of a caption how long it is."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def encode(self, captions: Sequence[str]) -> Tensor:
        self.calls.append(list(captions))
        return torch.tensor([[[float(len(caption))]] for caption in captions])

    def null(self) -> Tensor:
        return torch.zeros(1, 1, 1)

    def check_length(self, caption: str) -> None:
        if len(caption) > LONGEST:
            raise UserError(f"the caption has {len(caption)} letters", where=caption, fix="shorten it")


def test_a_caption_is_read_alone_and_once(tmp_path: Path) -> None:
    encoder = Lengths()
    found = CaptionConditions(cell(prompt_file(tmp_path, "one", "three", "seventeen")), encoder, CPU)
    assert found.of(torch.tensor([2, 0, 2])).flatten().tolist() == [9, 3, 9]
    assert found.of(torch.tensor([0, 1])).flatten().tolist() == [3, 5]
    assert encoder.calls == [["seventeen"], ["one"], ["three"]]
    assert found.null.shape == (1, 1, 1)


def test_captions_beyond_the_limit_are_forgotten_the_oldest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conditions, "REMEMBERED", 2)
    encoder = Lengths()
    found = CaptionConditions(cell(prompt_file(tmp_path, "a", "bb", "ccc")), encoder, CPU)
    assert found.of(torch.tensor([0, 1, 2, 1, 0])).flatten().tolist() == [1, 2, 3, 2, 1]
    assert [call for (call,) in encoder.calls] == ["a", "bb", "ccc", "a"]
    # A batch of more captions than are remembered is whole all the same.
    assert found.of(torch.arange(3)).flatten().tolist() == [1, 2, 3]


def test_captions_can_be_read_before_the_clock_runs(tmp_path: Path) -> None:
    encoder = Lengths()
    found = CaptionConditions(cell(prompt_file(tmp_path, "one", "three")), encoder, CPU)
    found.prepare(torch.tensor([1, 0]))
    assert [call for (call,) in encoder.calls] == ["three", "one"]
    found.of(torch.tensor([0, 1]))
    assert len(encoder.calls) == 2


def test_a_caption_that_is_too_long_is_missed_before_any_is_read(tmp_path: Path) -> None:
    encoder = Lengths()
    with pytest.raises(UserError, match="the caption has 10 letters"):
        CaptionConditions(cell(prompt_file(tmp_path, "one", "three", "ten & more")), encoder, CPU)
    assert encoder.calls == []


def test_no_captions_are_zeros() -> None:
    found = NoCaptions((5, 3), CPU)
    assert found.null.shape == (1, 5, 3)
    assert found.of(torch.tensor([4, 2])).shape == (2, 5, 3)
    assert not found.of(torch.tensor([4, 2])).any()


def test_image_i_is_asked_for_prompt_i_modulo_their_number(tmp_path: Path) -> None:
    path = prompt_file(tmp_path, "a circle", "a ring", "a star")
    assert labels_for(cell(path), [0, 1, 2, 3, 301]).tolist() == [0, 1, 2, 0, 1]
    drawn = labels_for(cell(path, labels="random"), range(300))
    assert set(drawn.tolist()) == {0, 1, 2}
    assert drawn.tolist() != labels_for(cell(path), range(300)).tolist()
    # The first images of a longer run are those of a shorter one.
    assert labels_for(cell(path, labels="random"), range(10)).tolist() == drawn[:10].tolist()


# Images of the packaged model


@pytest.mark.slow
@pytest.mark.parametrize("guidance", GUIDANCE, ids=lambda g: g.rule)
def test_what_is_drawn_with_it_does_not_change_an_image(guidance: Guidance) -> None:
    """Bit for bit, across the border between two groups too."""
    chosen = cell(guidance=guidance)._replace(sampler=Sampler("euler", 1))
    networks = networks_of(chosen)
    together = sample(chosen, networks, range(GROUP + 3), CPU).images
    assert together.shape == (GROUP + 3, 32, 32, 3)
    assert together.dtype == torch.uint8
    few = sample(chosen, networks, [GROUP + 1, 3], CPU).images
    assert torch.equal(few, together[[GROUP + 1, 3]])


@pytest.mark.slow
def test_images_of_one_prompt_differ_and_the_prompt_matters(tmp_path: Path) -> None:
    found = []
    for other in ("a blue star", "two white squares"):
        chosen = cell(prompt_file(tmp_path, "a red circle", other))
        found.append(sample(chosen, networks_of(chosen), range(4), CPU).images)
        (tmp_path / "own.txt").rename(tmp_path / f"{other}.txt")
    first, second = found
    assert not torch.equal(first[0], first[2])
    # The same noise: image 0 is asked for a red circle both times, image 1 for two different things.
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])


@pytest.mark.slow
def test_an_image_shows_its_own_prompt() -> None:
    """The conditions that the network is called with, call by call."""
    chosen = cell()
    networks = networks_of(chosen)
    seen: list[Tensor] = []

    def note(module: object, arguments: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
        seen.extend(
            part for part in (*arguments, *named.values()) if part is not None and part.shape[1:] == (MAX_WORDS,)
        )

    networks.main.register_forward_pre_hook(note, with_kwargs=True)
    sample(chosen, networks, range(GROUP), CPU)
    prompts = load_prompts("shapes").prompts
    expected = [token_ids(prompts[i % len(prompts)].text) for i in range(GROUP)]
    assert len(seen) == 2
    # CFG: the given prompts first, then as many times none.
    assert seen[0][:GROUP].tolist() == expected
    assert not seen[0][GROUP:].any()
    assert len(seen[0]) == 2 * GROUP
