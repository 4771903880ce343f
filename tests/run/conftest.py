"""Processes that run `sgbench` on one small suite."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.warm import Warm

WORKER = Path(__file__).parent / "worker.py"
# The state of a socket in the tables of the kernel.
LISTENING = "0A"
SUITE = """
suite: s
title: s
seed: 3
samples: {samples}
reference: fashion-mnist
metrics: [fd, label_agreement]
model: fashion-tiny
sampler: {{name: euler, steps: 1}}
sweep: [{{guidance: none}}, {{guidance: cfg, scale: {scales}}}]
"""


class Processes:
    """Starts processes on the suite; the tree of each is below the test's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[Warm] = []

    def suite(self, samples: int, scales: str = "[1.5, 2]") -> Path:
        """The suite file: shards are of 24 images."""
        path = self.folder / "s.yaml"
        path.write_text(SUITE.format(samples=samples, scales=scales))
        return path

    def start(self, mode: str, *arguments: str | Path, largest: int | None = None) -> Warm:
        """`worker.py` in a mode; `largest` limits the bytes of a file."""
        process = Warm(WORKER, mode, self.folder, *arguments, largest=largest)
        self.running.append(process)
        return process

    def run(self, *arguments: str | Path) -> dict[str, Any]:
        """The JSON document of a command that has to succeed."""
        return self.document(self.start("plain", *arguments, "--json"))

    @staticmethod
    def document(process: Warm) -> dict[str, Any]:
        """What a process that has to succeed says last."""
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found

    @staticmethod
    def until(condition: Callable[[], object], seconds: float = 60) -> None:
        """Wait for a condition."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.01)

    @staticmethod
    def tree(folder: Path) -> dict[str, bytes]:
        """The images, features and pictures below a results tree: what does not depend on the time they took."""
        kinds = ("*.npy", "*.npz", "gallery.png", "cell.json", "protocols.json")
        found = (path for kind in kinds for path in sorted(folder.rglob(kind)))
        return {str(path.relative_to(folder)): path.read_bytes() for path in found}

    def end(self) -> None:
        """Leave none behind."""
        for process in self.running:
            process.kill()
            process.wait()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Processes of one test."""
    made = Processes(tmp_path)
    yield made
    made.end()


class Below:
    """The processes below one, by what the kernel says of them."""

    def __init__(self, process: int) -> None:
        self.process = process

    def names(self) -> dict[int, str]:
        """Their numbers, and what each calls itself."""
        parents: dict[int, int] = {}
        names: dict[int, str] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError):
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                names[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        found: dict[int, str] = {}
        fresh = [self.process]
        while fresh:
            fresh = [child for child, parent in parents.items() if parent in fresh]
            found |= {child: names.get(child, "") for child in fresh}
        return found

    def at_work(self) -> list[int]:
        """Workers of Ray that are in the middle of a task of ours."""
        return [worker for worker, name in self.names().items() if name.startswith("ray::sgbench")]

    def listens_on(self) -> set[str]:
        """The addresses, without ports, on which any of them, or the process itself, waits for connections."""
        sockets = set()
        for process in [self.process, *self.names()]:
            with contextlib.suppress(OSError):
                for link in Path(f"/proc/{process}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        sockets.add(str(link.readlink()))
        found = set()
        for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTENING and f"socket:[{fields[9]}]" in sockets:
                    raw = bytes.fromhex(fields[1].partition(":")[0])
                    # The kernel prints words of four bytes in the machine's order.
                    packed = b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4))
                    found.add(socket.inet_ntop(family, packed))
        return found


@pytest.fixture(scope="session")
def below() -> type[Below]:
    """What runs below a process."""
    return Below
