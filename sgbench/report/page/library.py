"""Vega, Vega-Lite and vega-embed as one script, and the policy that lets this script run and nothing else.

The JavaScript comes out of the package vl-convert-python; none is kept here.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache


@cache
def library() -> str:
    """The script that defines `vegaEmbed`, fit to stand in an element; takes seconds once a process."""
    import vl_convert

    # In a block, so that its names stay its own; what it offers it hangs on `window`.
    bundle = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # The stub knows no bundle without a snippet.
    return "{" + as_script(bundle) + "}"


def library_name() -> str:
    """The versions of what `library` holds."""
    import vl_convert

    return f"vega {vl_convert.get_vega_version()}, vega-embed {vl_convert.get_vega_embed_version()}"


def as_script(code: str) -> str:
    """Code that may stand in a script element: nothing in it ends the element or opens a comment."""
    return re.sub(r"<(?=/script|!--)", r"\\x3c", code, flags=re.IGNORECASE)


def policy(scripts: Sequence[str], outside: bool) -> str:
    """The Content-Security-Policy of a page with these scripts; `outside` allows pictures from beside the page."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    pictures = "data: 'self' file:" if outside else "data:"
    # Scripts by their digests alone: Vega interprets its expressions and needs no eval. Styles stay open, because
    # figures and Vega carry them as attributes, which have no digests.
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src {pictures}; "
        "base-uri 'none'; form-action 'none'"
    )


def without_library(page: bytes) -> bytes:
    """A page without the library and without what depends on its version, so that two pages can be compared."""
    kept = re.sub(rb"<script data-library=.*?</script>", b"", page, flags=re.DOTALL)
    return re.sub(rb"script-src [^;]*;", b"", kept, count=1)
