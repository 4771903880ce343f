"""Who answers whom: the strictest key first, nothing twice, nothing ambiguous."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgbench.compare.lines import Line, match

Make = Callable[..., Line]


def set_of(images: str, samples: int = 100, cell: str = "") -> Line:
    return Line(images, cell, samples, None, (), (), {}, None, "")


@pytest.fixture
def other(line: Make) -> Line:
    """A further line, so that sources are not of one cell each."""
    return line("other")


def test_cells_go_before_settings(line: Make, other: Line) -> None:
    twin = line("a")._replace(cell="id-renamed")
    found = match([line("a"), other], [twin, line("a"), other])
    assert [(pair.a.cell, pair.b.cell) for pair in found.pairs] == [("id-a", "id-a"), ("id-other", "id-other")]
    assert found.only_b == [twin]


def test_a_retrained_checkpoint_is_matched_by_settings_and_said(line: Make, other: Line) -> None:
    retrained = line("a")._replace(cell="id-new", weights=("w2", "w", "w", "w"))
    found = match([line("a"), other], [other, retrained])
    assert found.pairs[0].b == retrained
    assert found.pairs[0].remark == "other checkpoint"
    assert found.pairs[1].remark == ""
    renamed = line("a")._replace(cell="id-new")
    assert match([line("a"), other], [other, renamed]).pairs[0].remark == "other id of the same settings"


def test_another_seed_and_another_number_of_images(line: Make, other: Line) -> None:
    seed = line("a", seed=1)._replace(cell="id-new")
    assert match([line("a"), other], [other, seed]).pairs[0].remark == "seed 0 against 1"
    (pair, _) = match([line("a"), other], [line("a", samples=200), other]).pairs
    assert (pair.a.samples, pair.b.samples) == (100, 200)


def test_what_is_ambiguous_stays_alone(line: Make, other: Line) -> None:
    first, second = (line("a")._replace(cell=f"id-{number}") for number in (1, 2))
    found = match([line("a"), other], [first, second, other])
    assert [pair.name for pair in found.pairs] == ["other"]
    assert (found.only_a, found.only_b) == ([line("a")], [first, second])


def test_one_against_one_whatever_the_names(line: Make) -> None:
    (pair,) = match([line("a")], [set_of("theirs/pictures")]).pairs
    assert pair.name == "a against theirs/pictures"
    many = [line("a"), line("a", samples=200)]
    assert [p.a.samples for p in match(many, [set_of("b", 200)]).pairs] == [200]
    assert match([line("a")], [set_of("b", 7)]).pairs[0].b.samples == 7


def test_sets_answer_by_cell_by_name_or_by_the_end_of_it(line: Make, other: Line) -> None:
    mine = [set_of("old/one"), set_of("two"), set_of("somewhere/three", cell="id-a")]
    found = match(mine, [set_of("two"), set_of("new/one"), line("a"), other])
    assert [(p.a.name, p.b.name) for p in found.pairs] == [
        ("old/one", "new/one"),
        ("two", "two"),
        ("somewhere/three", "a"),
    ]
    assert found.only_b == [other]


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([100, 200]), st.integers(0, 1)), max_size=8, unique=True)
)
def test_a_source_answers_itself_line_by_line(line: Make, told: list[tuple[str, int, int]]) -> None:
    lines = [line(name, samples, seed)._replace(cell=f"{name}{seed}") for name, samples, seed in told]
    if not lines:
        return
    found = match(lines, lines[::-1])
    assert [(pair.a, pair.b) for pair in found.pairs] == [(one, one) for one in lines]
    assert not found.only_a + found.only_b
