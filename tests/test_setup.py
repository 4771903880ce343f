"""Set-up with stand-ins for Python, pip and the disk: what it takes, what it says, and that it goes on afterwards."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = ["awk", "cat", "cp", "dirname", "du", "grep", "ls", "make", "mkdir", "rm", "sed", "sh", "tail", "touch"]

# {fails} is one of the words runs, age, venv, or nothing. Beside it lie `calls`, what pip was asked, and `fault`, what
# pip is to die of; a venv's Python is a copy, and `pip` in the venv says that it got that far.
PYTHON = """#!/bin/sh
case "{fails} $*" in
  "runs "*) echo "pyenv: not installed" >&2; exit 127 ;;
  *" -c ") ;;
  "age "*version_info*) exit 1 ;;
  *" --version") echo "Python {version}" ;;
  "venv "*"import ensurepip"*) exit 1 ;;
  *" -m venv "*)
    for folder; do :; done
    case "$*" in *--clear*) rm -rf "$folder" ;; esac
    mkdir -p "$folder/bin" && cp "$0" "$folder/bin/python" && touch "$folder/pyvenv.cfg" ;;
  *" -m ensurepip"*) touch "$(dirname "$0")/../pip" ;;
  *pip._internal*) test -f "$(dirname "$0")/../pip" ;;
  *'version("torch")'*) test -f "$(dirname "$0")/../torch" && cat "$(dirname "$0")/../torch" ;;
  *" -m pip install"*)
    echo "$*" >>"{folder}/calls"
    if test -f "{folder}/fault"; then cat "{folder}/fault" >&2; exit 1; fi ;;
esac
"""

BROKEN = "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)'\n"
NONE_FOUND = "ERROR: No matching distribution found for hatchling>=1.25\n"
CODE = "note: This error originates from a subprocess.\nerror: subprocess-exited-with-error\n"


@dataclass
class Machine:
    folder: Path

    def __post_init__(self) -> None:
        self.bin, self.venv, self.fault = self.folder / "bin", self.folder / ".venv", self.folder / "fault"
        self.bin.mkdir()
        (self.folder / ".ci").mkdir()
        for name in ("Makefile", "pyproject.toml", ".ci/set-up"):
            shutil.copy(ROOT / name, self.folder / name)
        for name in TOOLS:
            (self.bin / name).symlink_to(str(shutil.which(name)))
        self.program("uname", "echo Linux")
        self.disk(free=99)

    def program(self, name: str, text: str) -> Path:
        path = self.bin / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    def python(self, name: str, version: str = "", fails: str = "") -> Path:
        version = version or name.removeprefix("python") + ".1"
        return self.program(name, PYTHON.format(version=version, fails=fails, folder=self.folder))

    def disk(self, free: int) -> None:
        self.program("df", f'echo Filesystem; echo "disk 0 0 {free * 10**6} 0% /"')

    def make(self, *words: str, path: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", "setup", *words],
            check=False,
            cwd=self.folder,
            env={"PATH": path or str(self.bin)},
            capture_output=True,
            text=True,
        )

    def refused(self, *words: str) -> str:
        """The one sentence of a set-up that fails, after which nothing is ready."""
        done = self.make(*words)
        said = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
        assert done.returncode
        assert len(said) == 1, done.stderr
        assert said[0].startswith("set-up: ")
        assert not (self.venv / ".ready").exists()
        return said[0].removeprefix("set-up: ")

    def succeeds(self, *words: str, path: str = "") -> str:
        done = self.make(*words, path=path)
        assert (done.returncode, done.stderr) == (0, "")
        assert (self.venv / ".ready").exists()
        return done.stdout

    @property
    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_line_for_each_stage_then_nothing_is_left_to_do(machine: Machine) -> None:
    machine.python("python3.11")
    said = machine.succeeds()
    assert [line.split()[1] for line in said.splitlines()] == ["1/3:", "2/3:", "2/3:", "3/3:"]
    assert "3.4 GB to fetch, 7.2 GB on the disk" in said
    assert "no NVIDIA GPU is seen: `make setup TORCH=cpu`" in said
    assert [call.split()[-1] for call in machine.calls] == [".[dev]", "args==0.1.0"]
    assert "Nothing to be done" in machine.succeeds()
    assert len(machine.calls) == 2


def test_the_newest_is_chosen_and_shims_old_ones_and_those_without_venv_are_passed_over(machine: Machine) -> None:
    machine.python("python3.14", fails="runs")
    machine.python("python3.13", fails="venv")
    machine.python("python3.12", version="3.10.4", fails="age")
    right = machine.python("python3.11")
    machine.python("python3", "3.11.1")
    assert f"with {right} (Python 3.11.1)" in machine.succeeds()


def test_a_python_behind_a_shim_of_its_name_is_found(machine: Machine) -> None:
    machine.python("../shims/python3.12", "3.12.1", fails="runs")
    machine.python("python3.12")
    machine.python("python3.11")
    assert "bin/python3.12 " in machine.succeeds(path=f"{machine.folder}/shims:{machine.bin}")


def test_no_python(machine: Machine) -> None:
    assert machine.refused() == (
        "no Python of 3.11 or newer with venv is on PATH; "
        "install one (Debian and Ubuntu: apt install python3 python3-venv), or name one with PYTHON=..."
    )
    machine.python("python3", "3.13.2")
    machine.succeeds()


def test_only_pythons_that_will_not_do(machine: Machine) -> None:
    machine.python("python3.13", fails="runs")
    machine.python("python3.11", fails="venv")
    machine.python("python3", "3.9.2", fails="age")
    said = machine.refused()
    assert "/python3.13 does not run, " in said
    assert "/python3.11 has no venv with ensurepip, " in said
    assert "/python3 is Python 3.9.2);" in said
    machine.python("python3.11")
    machine.succeeds()


def test_a_python_named_by_hand(machine: Machine) -> None:
    machine.python("python3.13")
    machine.python("old", "3.10.4", fails="age")
    machine.python("bare", "3.11.2", fails="venv")
    own = machine.python("own", "3.12.3")
    for name, why in (("old", "is Python 3.10.4"), ("bare", "has no venv with ensurepip"), ("none", "does not run")):
        assert machine.refused(f"PYTHON={name}").startswith(f"PYTHON={name} {why}; name a Python of 3.11 or newer")
    assert f"with {own} (Python 3.12.3)" in machine.succeeds(f"PYTHON={own}")


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (BROKEN + NONE_FOUND, "the package index was not reached, or broke off"),
        ("ERROR: Exception:\nReadTimeoutError: Pool: Read timed out.\n", "the package index was not reached"),
        (f"  {BROKEN}  {NONE_FOUND}{CODE}", "the package index was not reached"),
        ("ERROR: OSError: [Errno 28] No space left on device\n", "the disk is full, under .venv or under /tmp"),
        (NONE_FOUND + CODE, "No matching distribution found for hatchling>=1.25 (.venv/set-up.log has what pip said)"),
        (BROKEN + "ERROR: Failed to build fvcore.\n", "Failed to build fvcore (.venv/set-up.log has what pip said)"),
        ("killed\n", "killed (.venv/set-up.log has what pip said)"),
    ],
)
def test_pip_fails_and_the_same_command_goes_on(machine: Machine, fault: str, sentence: str) -> None:
    machine.python("python3.12")
    machine.fault.write_text(fault)
    said = machine.refused()
    assert said.startswith(sentence)
    assert said.endswith(", then the same command goes on")
    assert fault in (machine.venv / "set-up.log").read_text()
    machine.fault.unlink()
    assert "set-up 1/3: .venv is there" in machine.succeeds()


def test_too_little_room_is_seen_before_anything_is_fetched(machine: Machine) -> None:
    machine.python("python3.12")
    machine.disk(free=5)
    assert machine.refused().startswith(".venv has 5.1 GB free and set-up needs 10.8 GB there; make room")
    assert not machine.calls
    machine.succeeds("TORCH=cpu")


def test_torch_without_cuda(machine: Machine) -> None:
    machine.python("python3.12")
    assert machine.refused("TORCH=rocm").startswith("TORCH=rocm is not known; say TORCH=cpu")
    said = machine.succeeds("TORCH=cpu")
    assert "about 2.3 GB on the disk, with torch for the CPU" in said
    assert "NVIDIA" not in said
    assert machine.calls[0].endswith("--index-url https://download.pytorch.org/whl/cpu torch torchvision")
    assert len(machine.calls) == 3


def test_a_torch_that_is_there_is_kept(machine: Machine) -> None:
    machine.python("python3.12")
    machine.fault.write_text("killed\n")
    machine.refused()
    machine.fault.unlink()
    (machine.venv / "torch").write_text("2.9.1+cpu")
    assert "the packages beside torch 2.9.1+cpu, which is there" in machine.succeeds("TORCH=cpu")
    assert not any("--index-url" in call for call in machine.calls)


def test_an_nvidia_gpu_is_told_nothing_of_the_cpu(machine: Machine) -> None:
    machine.python("python3.12")
    machine.program("nvidia-smi", "true")
    assert "TORCH=cpu" not in machine.succeeds()


@pytest.mark.parametrize("left", ["empty", "no python", "python gone", "python too old"])
def test_a_half_made_venv_is_made_anew(machine: Machine, left: str) -> None:
    machine.python("python3.12")
    if left == "empty":
        machine.venv.mkdir()
    else:
        machine.succeeds()
        if left == "python too old":
            machine.python("python3.12", "3.10.4", fails="age").replace(machine.venv / "bin/python")
            machine.python("python3.12")
            (machine.venv / ".ready").unlink()
        else:
            (machine.venv / "bin/python").unlink()
            if left == "python gone":
                (machine.venv / "bin/python").symlink_to("/nowhere/python")
    said = machine.succeeds()
    assert "set-up 1/3: .venv is made" in said
    assert ("anew" in said) == (left != "empty")


def test_a_venv_without_pip_gets_pip_and_keeps_the_rest(machine: Machine) -> None:
    """As `uv venv` makes it."""
    machine.python("python3.12")
    machine.succeeds()
    for name in ("pip", ".ready"):
        (machine.venv / name).unlink()
    (machine.venv / "mine").touch()
    assert "set-up 1/3: .venv is there" in machine.succeeds()
    assert (machine.venv / "pip").exists()
    assert (machine.venv / "mine").exists()


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("PYTHON=python3.13", ".venv is of Python 3.12.1, not of PYTHON=python3.13; remove .venv, then"),
        ("TORCH=cpu", ".venv has torch 2.14.1, which is not the CPU build of TORCH=cpu; remove .venv, then"),
    ],
)
def test_what_is_named_by_hand_is_held_against_a_finished_venv(machine: Machine, word: str, said: str) -> None:
    machine.python("python3.12")
    machine.succeeds()
    machine.python("python3.13")
    (machine.venv / "torch").write_text("2.14.1")
    done = machine.make(word)
    assert done.returncode
    assert done.stderr.startswith(f"set-up: {said} the same command goes on\n")
    machine.succeeds("PYTHON=python3.12")


def test_a_folder_that_is_no_venv_is_left_alone(machine: Machine) -> None:
    machine.python("python3.12")
    machine.venv.mkdir()
    (machine.venv / "thesis.txt").write_text("mine")
    assert machine.refused() == ".venv is there and is no venv; move it away, then the same command goes on"
    assert (machine.venv / "thesis.txt").read_text() == "mine"
    machine.venv.rename(machine.folder / "elsewhere")
    machine.succeeds()
