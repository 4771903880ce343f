"""Untrusted strings for readers: characters that are invisible or reverse the text are escaped."""

import re
from typing import Any

from markupsafe import Markup, escape

from sgbench.base.printable import printable


def visible(text: str) -> str:
    r"""The text with invisible characters escaped: `\u202e`. Tabs and line feeds stay."""
    return printable(text, keep="\t\n")


def all_visible(value: Any) -> Any:
    """The same for every string in lists and dictionaries, and for the keys of these."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {all_visible(key): all_visible(one) for key, one in value.items()}
    return [all_visible(one) for one in value] if isinstance(value, list) else value


def output(value: Any) -> Any:
    """What a template prints: strings made visible, markup as it is."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def said(sentence: str) -> Markup:
    """A sentence, with text between backticks as code."""
    parts = re.split(r"`([^`]+)`", visible(sentence))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if n % 2 else escape(part) for n, part in enumerate(parts)
    )
