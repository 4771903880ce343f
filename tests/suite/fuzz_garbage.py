"""Bytes, text, documents of other kinds, and suites as text with something cut, doubled or put in."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from tests.suite.fuzz_broken import KEYS, spelt
from tests.suite.fuzz_valid import valid

TOKENS = (
    *(
        "&a ",
        "*a",
        "<<: ",
        "!!python/object:os.system ",
        "!!int ",
        "!x ",
        "---\n",
        "...\n",
        "%TAG ! x\n",
        "? ",
        "| ",
        "> ",
    ),
    *("[", "]", "{", "}", ", ", ": ", "- ", "\n", "  ", "\t", "#", '"', "'", "\\", "\ufeff", "\x00", "\x1b", "\u2028"),
    *(
        "suite",
        "sweep",
        "model",
        "null",
        "yes",
        "0x",
        "0b_",
        "1_0",
        "1:30",
        ".inf",
        "1e999",
        "9" * 50,
        "2020-99-99",
        "=",
        "~",
    ),
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def cut_up(draw: st.DrawFn) -> bytes:
    """A suite's text with a few edits anywhere."""
    text = bytearray(draw(valid().map(spelt)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        count = draw(st.sampled_from([0, 0, 1, 5, 50]))
        text[start : start + count] = draw(st.sampled_from(TOKENS)).encode() if draw(st.booleans()) else b""
    return bytes(text)


GARBAGE = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace")),
    st.lists(st.sampled_from(TOKENS), max_size=15).map(lambda parts: "".join(parts).encode()),
    DOCUMENTS.map(lambda document: json.dumps(document).encode()),
    cut_up(),
    cut_up(),
)
