"""Text of unknown origin made safe to print: no escape sequences, line breaks or changes of direction."""

import unicodedata
from typing import Final

# Embeddings, overrides and isolates, which show text in another order than it is stored in, and the byte order mark,
# which is invisible. Right-to-left letters are not among them.
DIRECTIONS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
# Controls, halves of surrogate pairs, and line and paragraph separators.
CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
ELLIPSIS: Final = " [...] "


def printable(text: str, keep: str = "") -> str:
    """`text` with every control character and change of direction written as its escape.

    Characters in `keep`, such as a newline, stay as they are. Markup is untouched: `[red]` prints as `[red]`.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(c) if c not in keep and is_control(c) else c for c in text)


def is_control(character: str) -> bool:
    """Whether a character controls a terminal or the layout of text instead of being shown."""
    return character in DIRECTIONS or unicodedata.category(character) in CATEGORIES


def shortened(text: str, most: int) -> str:
    """The beginning and the end of a text, at most `most` characters in all."""
    if len(text) <= most:
        return text
    tail = most // 4
    return f"{text[: most - tail - len(ELLIPSIS)]}{ELLIPSIS}{text[-tail:]}"


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
