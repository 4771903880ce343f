"""Cards and options of users' models: what they take, and that results give back what they keep of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgbench.models.card import ModelCard
from sgbench.models.own import NAMES, OwnModel, read_options, record, restore, spell_options

CARD: dict[str, Any] = {
    "name": "mine",
    "shape": (1, 8, 8),
    "tokens": 16,
    "classes": 10,
    "null": 10,
    "prediction": "velocity",
}
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
options = st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True), values, max_size=4)


@given(options)
def test_options_are_read_back_from_a_name_without_blanks(given_options: dict[str, Any]) -> None:
    text = spell_options(given_options)
    assert read_options(text) == given_options
    assert NAMES.fullmatch(f"mine{text}")


@given(options, options)
def test_two_sets_of_options_never_share_a_name(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (spell_options(one) == spell_options(other)) == same


@pytest.mark.parametrize("wrong", [{"a b": 1}, {1: 1}, {"a": float("nan")}, {"a": object()}])
def test_options_that_a_suite_cannot_give_are_refused(wrong: dict[Any, Any]) -> None:
    with pytest.raises(ValueError, match=r"option|neither|JSON"):
        spell_options(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"name": name} for name in ("", "two words", "a/b", 3)),
        *({"shape": shape} for shape in ((8, 8), (1, 8, 4), (1, 0, 0), "188", (2, 8, 8), None)),
        *({"caption": caption} for caption in ((77, 1024), (77,), "text")),
        *({key: value} for key in ("tokens", "classes", "shrink") for value in (0, -1, 1.5, True, "16", None)),
        *({"prediction": value} for value in ("x0", "", None)),
        *({"null": value} for value in (3, -1, "10")),
        *({"trained_gamma": value} for value in (1, -0.1, "half", None)),
        *({"sigma_data": value} for value in (0, float("inf"), None)),
        *({"variance": value} for value in (1, "yes", None)),
        *({"autoencoder": value} for value in ("", None, 3)),
        *({"width": value} for value in (-1, True, 10**9, 64.0, None)),
        *({"macs": value} for value in (3, "kept")),
        *({"blocks": value} for value in (-1, True, 10**9, 1.0)),
        *({key: 10**9} for key in ("tokens", "classes", "shrink", "null")),
        {"shape": (1, 10**9, 10**9)},
        {"drops": None},
    ],
    ids=str,
)
def test_a_card_says_which_fact_is_wrong_and_what_it_must_be(wrong: dict[str, Any]) -> None:
    (key,) = wrong
    with pytest.raises(ValueError, match=rf"^the card's {key} must be ."):
        ModelCard(**(CARD | wrong))


def test_results_give_back_the_card_and_nothing_that_runs() -> None:
    card = ModelCard(**CARD, macs=lambda kept: kept, drops="somewhere", trained_gamma=0.5)  # type: ignore[arg-type, return-value]
    kept = restore(json.loads(json.dumps(record(OwnModel("mine(depth=2)", card, "mine.py, line 3", lambda: None)))))
    assert kept.name == "mine(depth=2)"
    assert kept.card == ModelCard(**CARD, drops="somewhere", trained_gamma=0.5)
    with pytest.raises(Exception, match="known from a record of results alone"):
        kept.build()
