"""Nothing listens on a network port, in any process, from drawing to the report."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PROBE = """
import os, socket, sys
from pathlib import Path

listened, bind = [], socket.socket.listen

def listen(*arguments):
    listened.append(arguments)
    return bind(*arguments)

socket.socket.listen = listen
from sgbench import api

sys.path.insert(0, sys.argv[2])
from sgbench.report import build
from tests import tiny_model

build.FORMATS = ("svg",)
tiny_model.install()
suite = api.load_suite(sys.argv[1])
api.bench_suite(suite, Path("results"), Path("reports"), device="cpu")
LISTENING = "0A"
own = set()
for link in Path("/proc/self/fd").iterdir():
    try:
        own.add(os.readlink(link))
    except OSError:
        pass
for table in ("tcp", "tcp6"):
    lines = Path("/proc/self/net", table).read_text().splitlines()[1:]
    mine = [line for line in lines if f"socket:[{line.split()[9]}]" in own and line.split()[3] == LISTENING]
    assert not mine, mine
assert not listened, listened
"""


def test_no_stage_listens(suite_file: Callable[..., Path], tmp_path: Path) -> None:
    suite = suite_file(metrics=["fd"])
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(suite), str(root)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "reports" / "tiny" / "index.html").is_file()
