"""Strings of others as readers see them."""

from __future__ import annotations

import pytest
from markupsafe import Markup

from sgbench.report.page.text import all_visible, output, said, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, Grüße, מרחב, 猫", "plain, Grüße, מרחב, 猫"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u2066b\u2069", "a\\u2066b\\u2069"),
        ("\x00\x1b\x7f\x9f", "\\x00\\x1b\\x7f\\x9f"),
        ("half \ud800", "half \\ud800"),
    ],
)
def test_what_nobody_sees_is_spelt_out(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert all_visible({text: [text, 1, None]}) == {shown: [shown, 1, None]}
    visible(text).encode()


def test_markup_is_put_out_as_it_is() -> None:
    assert output(Markup("<b>\u202e</b>")) == "<b>\u202e</b>"
    assert output("\u202e") == "\\u202e"
    assert output(3) == 3


def test_sentences_mark_code_and_hide_nothing() -> None:
    assert said("`a\u202e`") == "<code>a\\u202e</code>"
