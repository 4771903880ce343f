"""Nothing that is printed controls a terminal, and nothing in a name is markup."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from sgbench.base.errors import UserError
from sgbench.base.printable import printable, shortened
from sgbench.cli.console import Neutral

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\rx\u202etxt.exe\u2028\ud800"


def test_what_steers_is_escaped() -> None:
    assert printable(HOSTILE) == r"\x1b]0;owned\x07\x1b[2J\x9b31m\x0dx\u202etxt.exe\u2028\ud800"
    assert printable("[red]Größe[/red] 図 \N{ZERO WIDTH JOINER}é") == "[red]Größe[/red] 図 \N{ZERO WIDTH JOINER}é"
    assert printable("a\n\tb\r", keep="\n\t") == "a\n\tb\\x0d"


def test_long_texts_keep_both_ends() -> None:
    assert shortened("abc", 3) == "abc"
    cut = shortened("a" * 500 + "z" * 500, 100)
    assert len(cut) == 100
    assert cut.startswith("aaa")
    assert cut.endswith("zzz")


def test_an_error_is_one_printable_line() -> None:
    text = str(UserError(f"a\nb {HOSTILE}", where=HOSTILE * 1000, fix="x"))
    assert text.isprintable()
    assert len(text) < 3000


def test_a_stream_lets_lines_pass_and_nothing_else() -> None:
    below = io.StringIO()
    print("a\tb", HOSTILE, file=Neutral(below))  # type: ignore[type-var]
    assert "a\tb \\x1b]0;owned" in below.getvalue()
    assert below.getvalue().endswith("\\ud800\n")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["\x1b[31mred\x07.yaml", "[link=x]a[bold].yaml", "a\nb.yaml"])
def test_the_command_on_a_terminal(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text('suite: "\\e[2J"\n')
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "sgbench", "validate", str(tmp_path / name)]
    done = subprocess.run(command, stdin=slave, stdout=slave, stderr=slave, check=False)
    os.close(slave)
    shown = os.read(master, 100_000).decode()
    os.close(master)
    assert done.returncode == 1
    assert "\x1b" not in shown
    assert shown.count("\n") == 1
    assert printable(name) in shown
    assert "control character U+001B" in shown
