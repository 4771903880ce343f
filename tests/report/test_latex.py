"""LaTeX tables: strict syntax, captions that say the protocol, bold and arrows where they belong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgbench import api
from sgbench.report.select_rows import with_quality
from sgbench.report.tables.latex import escape, latex_tables
from sgbench.suite.schema import Suite

ROOT = Path(__file__).parents[2]
ESCAPED = {
    r"\textbackslash{}": "\\", r"\{": "{", r"\}": "}", r"\_": "_", r"\&": "&", r"\%": "%", r"\#": "#", r"\$": "$",
    r"\textasciitilde{}": "~", r"\textasciicircum{}": "^", r"\textless{}": "<", r"\textgreater{}": ">",
    r"\textbar{}": "|", "{[}": "[", "{]}": "]", r"$\pm$": "\N{PLUS-MINUS SIGN}",
    r"$\times$": "\N{MULTIPLICATION SIGN}", r"$\gamma$": "\N{GREEK SMALL LETTER GAMMA}", "$-$": "\N{MINUS SIGN}",
}  # fmt: skip


@pytest.fixture(scope="module")
def fashion() -> tuple[Suite, pd.DataFrame]:
    """The committed suite and rows of three models."""
    suite = api.load_suite(ROOT / "suites" / "fashion-mnist.yaml")
    rows = pd.read_csv(ROOT / "results" / "fashion-mnist" / "rows.csv")
    return suite, with_quality(rows, "fd")


# A strict reader of the LaTeX that tables use, in the place of TeX itself

WORDS = {
    "addtocounter", "begin", "begingroup", "bottomrule", "caption", "centering", "downarrow", "end", "endfirsthead",
    "endfoot", "endgroup", "endhead", "gamma", "label", "medskip", "midrule", "multicolumn", "par", "pm", "scriptsize",
    "textasciicircum", "textasciitilde", "textbackslash", "textbar", "textbf", "textgreater", "textit", "textless",
    "times", "toprule", "uparrow",
}  # fmt: skip
SIGNS = set("{}_&%#$,\\")
RULES = re.compile(r"\\(toprule|midrule|bottomrule|endfirsthead|endhead|endfoot)\b|\\(caption|label)\b.*")


def check(text: str) -> None:
    """Assert that braces, mathematics and environments close, that rows have their columns, and that specials are
    escaped."""
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    depth, mathematics, groups = 0, False, 0
    for token in re.findall(r"\\[A-Za-z]+|\\.|[{}$%#_^~&]|[^\\{}$%#_^~&]+", body, re.S):
        if token.startswith("\\"):
            assert token[1:] in WORDS or token[1] in SIGNS, token
            groups += {"\\begingroup": 1, "\\endgroup": -1}.get(token, 0)
        depth += {"{": 1, "}": -1}.get(token, 0)
        assert depth >= 0
        mathematics ^= token == "$"
        # A tie stands before an arrow alone, and nothing here needs an index.
        assert token not in "%#_^", token
    assert (depth, mathematics, groups) == (0, False, 0)
    _environments(body)


def _environments(body: str) -> None:
    stack: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", body):
        if kind == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert not stack
    outside = re.sub(r"\\begin\{(tabular|longtable)\}.*?\\end\{\1\}", "", body, flags=re.S)
    assert not re.search(r"(?<!\\)&", outside)


def tables(text: str) -> list[list[list[str]]]:
    """The cells of every tabular and longtable, headings first; asserts that each row fits its specification."""
    found = []
    for _, specification, inside in re.findall(
        r"\\begin\{(tabular|longtable)\}\{([lr]+)\}(.*?)\\end\{\1\}", text, re.S
    ):
        rows = []
        for line in (RULES.sub("", line).strip() for line in inside.splitlines()):
            if not line:
                continue
            assert line.endswith(r" \\"), line
            cells = re.split(r"(?<!\\) & ", line.removesuffix(r" \\"))
            spans = re.match(r"\\multicolumn\{(\d+)\}", cells[0])
            assert (int(spans[1]) if spans else len(cells)) == len(specification), line
            rows.append(cells)
        found.append(rows)
    return found


# Tests


def read_back(text: str) -> str:
    """What LaTeX prints of an escaped text, longest escapes first."""
    out, at = "", 0
    while at < len(text):
        key = next((k for k in sorted(ESCAPED, key=len, reverse=True) if text.startswith(k, at)), None)
        assert key is not None or text[at] not in "\\{}_&%#$~^<>|[]", text[at:]
        out += ESCAPED[key] if key else text[at]
        at += len(key) if key else 1
    return out


@given(st.text(alphabet=st.one_of(st.sampled_from(["\n", "\t", " ", *ESCAPED.values()]), st.characters(codec="utf-8"))))
def test_any_text_is_printed_and_nothing_else(text: str) -> None:
    escaped = escape(text)
    assert read_back(escaped) == " ".join(text.split())
    check(escaped)


def test_the_checker_refuses_what_tex_would() -> None:
    for bad in (r"\textbf{a", "a}", r"a_b", "50%", r"\begin{table}", r"\unknown", "$x", "a & b", "#1"):
        with pytest.raises(AssertionError):
            check(bad)
    with pytest.raises(AssertionError):
        tables("\\begin{tabular}{lr}\na & b & c \\\\\n\\end{tabular}")


def test_committed_rows_make_valid_tables(fashion: tuple[Suite, pd.DataFrame]) -> None:
    suite, rows = fashion
    files = latex_tables(suite, rows, suite.metrics)
    assert sorted(files) == ["table-best.tex", "table.tex"]
    for text in files.values():
        check(text)
        assert r"\caption{Guidance on small token-sparse DiTs, Fashion-MNIST: " in text
        assert "N = 960 images per cell, balanced labels, against fashion-mnist." in text
        assert "is one standard error" in text
        assert "Bold: the best value of a model" in text
        assert "% protocol of FD[fashion-cnn]: 3280e5b167b8\n" in text
        # Every part begins with what tells its lines apart, and together they hold every metric once.
        parts = tables(text)
        assert all(part[0][:2] == ["rule", "settings"] for part in parts)
        headings = [heading for part in parts for heading in part[0][2:]]
        assert len(headings) == len(set(headings))
        assert {r"recall~$\uparrow$", r"FD{[}lite0{]}~$\downarrow$", "nearest training image"} <= set(headings)


def test_many_lines_break_over_pages(fashion: tuple[Suite, pd.DataFrame]) -> None:
    suite, rows = fashion
    files = latex_tables(suite, rows, suite.metrics)
    assert files["table.tex"].startswith("% Needs \\usepackage{booktabs} and \\usepackage{longtable}.\n")
    assert files["table.tex"].count(r"\label{") == 1
    assert r"\label{tab:fashion-mnist-best}" in files["table-best.tex"]
    few = latex_tables(suite, rows, ["fd"])["table-best.tex"]
    assert few.startswith("% Needs \\usepackage{booktabs}.\n")
    assert r"\begin{table}" in few
    # 51 cells, a line for each of three models, and the headings of the first and of further pages.
    assert {len(part) for part in tables(files["table.tex"])} == {51 + 3 + 2}


def test_bold_is_of_each_model(fashion: tuple[Suite, pd.DataFrame]) -> None:
    suite, rows = fashion
    first = tables(latex_tables(suite, rows, suite.metrics)["table-best.tex"])[0]
    column = first[0].index(r"FD{[}fashion-cnn{]}~$\downarrow$")
    assert [row[0] for row in first if row[0].startswith(r"\multicolumn")] == [
        rf"\multicolumn{{{len(first[0])}}}{{l}}{{\textit{{{name}}}}}"
        for name in ("fashion-routing", "fashion-masking", "fashion-dense")
    ]
    cells = {(row[0], row[column]) for row in first[1:] if len(row) > 1}
    assert ("CFG", r"\textbf{0.118 $\pm$ 0.007}") in cells
    assert ("CFG", r"\textbf{0.241 $\pm$ 0.009}") in cells
    # The direction of a metric without a better end is nobody's: never bold.
    nearest = next(p for p in tables(latex_tables(suite, rows, suite.metrics)["table.tex"])
                   if "nearest training image" in p[0])  # fmt: skip
    place = nearest[0].index("nearest training image")
    assert not [row for row in nearest[1:] if len(row) > 1 and "textbf" in row[place]]


def test_a_hostile_title_and_odd_values_do_no_harm(fashion: tuple[Suite, pd.DataFrame]) -> None:
    suite, rows = fashion
    few = rows[rows["model"] == "fashion-dense"].reset_index(drop=True)
    few["parameters"] = json.dumps({r"\input{x}": r"[50% of_it] & ~^#$<>"})
    few.loc[0, ["kd", "recall"]] = [-0.00012, float("nan")]
    few["gamma_strong"] = ["cosine 0.6 to 0", *few["gamma_strong"].astype(str)[1:]]
    named = suite.model_copy(update={"title": "100% \\evil{ & $x_1$\n#"})
    for text in latex_tables(named, few, suite.metrics).values():
        check(text)
        assert r"100\% \textbackslash{}evil\{ \& \$x\_1\$ \#: " in text
        assert "Model: fashion-dense." in text
        assert r"\multicolumn" not in text
    whole = latex_tables(named, few, suite.metrics)["table.tex"]
    assert "gamma cosine 0.6 to 0" in whole
    assert "$-$0.0001" in whole
    assert "nan" not in whole
    tables(whole)


def test_one_cell_is_a_table(fashion: tuple[Suite, pd.DataFrame]) -> None:
    suite, rows = fashion
    for text in latex_tables(suite, rows.iloc[[3]].reset_index(drop=True), suite.metrics).values():
        check(text)
        assert {len(part) for part in tables(text)} == {2}
