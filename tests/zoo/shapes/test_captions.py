"""Words of the shapes model: every caption has its numbers, and what it cannot read is refused by name."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgbench.base.errors import UserError
from sgbench.models.embedded import load_recipe
from sgbench.zoo.shapes.captions import (
    COLOURS,
    HELD_OUT_ABOVE,
    HELD_OUT_PAIRS,
    MAX_WORDS,
    PAD,
    PLURALS,
    SHAPES,
    WORDS,
    token_ids,
)
from sgbench.zoo.shapes.scenes import GROUNDS

few = settings(max_examples=60, deadline=None)
captions = st.lists(st.sampled_from(WORDS), max_size=MAX_WORDS)


def refused(caption: str) -> str:
    with pytest.raises(UserError) as caught:
        token_ids(caption, "shapes: prompt 3")
    text = str(caught.value)
    assert text.startswith("shapes: prompt 3: ")
    assert "\n" not in text
    return text


def test_the_network_has_a_place_for_every_word_and_for_padding() -> None:
    a = load_recipe("shapes").architecture
    assert a.family == "textdit"
    assert (a.words, a.caption_tokens, a.null_label) == (len(WORDS) + 1, MAX_WORDS, PAD)
    assert len(set(WORDS)) == len(WORDS)
    assert len(PLURALS) == len(SHAPES)


def test_each_shape_and_each_colour_is_held_out_once() -> None:
    assert Counter(colour for colour, _ in HELD_OUT_PAIRS) == Counter(COLOURS.keys())
    assert Counter(shape for _, shape in HELD_OUT_PAIRS) == Counter(SHAPES)
    assert set(SHAPES) > HELD_OUT_ABOVE


def test_colours_are_far_from_each_other_and_from_every_ground() -> None:
    greys = [(level, level, level) for level in range(GROUNDS[0], GROUNDS[1] + 1)]
    assert min(itertools.starmap(math.dist, itertools.combinations(COLOURS.values(), 2))) > 80
    assert min(itertools.starmap(math.dist, itertools.product(COLOURS.values(), greys))) > 80


@few
@given(captions)
def test_a_caption_is_read_back_from_its_numbers(words: list[str]) -> None:
    numbers = token_ids(" ".join(words))
    assert len(numbers) == MAX_WORDS
    assert [WORDS[number - 1] for number in numbers if number != PAD] == words
    assert numbers[len(words) :] == [PAD] * (MAX_WORDS - len(words))
    assert all(PAD <= number <= len(WORDS) for number in numbers)


@few
@given(captions)
def test_case_and_blanks_mean_nothing(words: list[str]) -> None:
    assert token_ids(f"  {'   '.join(words).upper()}\t") == token_ids(" ".join(words))


def test_the_empty_caption_is_all_padding() -> None:
    assert token_ids("") == [PAD] * MAX_WORDS


def test_an_unknown_word_is_named_with_a_suggestion() -> None:
    text = refused("a red cirle")
    assert "the shapes model does not know the word 'cirle', did you mean 'circle'?" in text
    assert "write captions with: a an and two" in text
    assert "does not know the word 'circle,'" in refused("a circle, a star")
    assert "does not know the word 'photo'" in refused("a photo of a dog")


@few
@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_text_is_read_or_refused_in_a_sentence(text: str) -> None:
    try:
        numbers = token_ids(text)
    except UserError:
        return
    assert len(numbers) == MAX_WORDS


def test_a_caption_that_is_too_long_says_how_much_may_be_written() -> None:
    assert len(token_ids(" ".join(["red"] * MAX_WORDS))) == MAX_WORDS
    text = refused(" ".join(["red"] * 9))
    assert "has 9 words, the shapes model reads 8; shorten it." in text
