"""SVG files as elements of a page."""

from __future__ import annotations

import re
from html import escape


def inline_svg(svg: bytes, prefix: str, name: str) -> str:
    """An SVG file as an element: no prologue, ids and style of its own, a name for screen readers.

    `prefix` must be unique in the page and fit to be an id.
    """
    text = svg.decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'(xlink:href="|url\()#', rf"\1#{prefix}-", text)
    # Matplotlib's style is for all elements of its file, and would be for all of the page.
    text = text.replace('<style type="text/css">*{', f'<style type="text/css">#{prefix} *{{')
    return text.replace("<svg", f'<svg id="{prefix}" role="img" aria-label="{escape(name)}"', 1)
