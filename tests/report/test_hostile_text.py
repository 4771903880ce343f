"""Text of others in what people open: no tags in Markdown, no formulas in a spreadsheet."""

from __future__ import annotations

import io

import pandas as pd
import pytest

from sgbench.report.build import _csv
from sgbench.report.document import markdown_table, without_tags
from sgbench.report.tables.latex import escape


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "@SUM(1)", "+A1", "-A1", " =1"])
def test_a_formula_is_text_in_a_spreadsheet(text: str) -> None:
    written = _csv(pd.DataFrame({"what": [text, "-0.5 to 1", "+1", "w 2"], "n": [-1.5, 2, 3, 4]}))
    found = pd.read_csv(io.BytesIO(written))
    assert found["what"].tolist() == [f"'{text}", "-0.5 to 1", "+1", "w 2"]
    assert b"\r" not in _csv(pd.DataFrame({"what": ["\r=1"]}))
    assert found["n"].tolist() == [-1.5, 2, 3, 4]


def test_markdown_holds_no_tags() -> None:
    assert without_tags("a <script>x</script>\n# b <= 3 < 4 \x1b[2J") == r"a \<script>x\</script> # b <= 3 < 4 \x1b[2J"
    assert r"\<img" in markdown_table(pd.DataFrame({"a": ["<img src=x> | b"]}))


def test_latex_runs_nothing() -> None:
    assert "\\input" not in escape("\\input{/etc/passwd} $x$ %").replace("\\textbackslash{}", "")
