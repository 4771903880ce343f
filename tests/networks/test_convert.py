"""Conversion to safetensors, with and without trust in a pickle."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sgbench.base.errors import UserError
from sgbench.files.digest import sha256_file
from sgbench.networks.checkpoints import PickledObjectsError, read_state
from sgbench.networks.convert import convert

WEIGHTS = {"a": torch.arange(4.0).half(), "b.c": torch.tensor([[1, 2]]), "d": torch.ones(2, dtype=torch.bfloat16)}


class Act:
    """Runs a line of shell or Python when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def check(out: Path) -> None:
    found = load_file(out)
    assert found.keys() == WEIGHTS.keys()
    for name, tensor in WEIGHTS.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def metadata(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as stored:
        return dict(stored.metadata())


def test_a_plain_file_is_converted_here(tmp_path: Path) -> None:
    source, out = tmp_path / "last.pt", tmp_path / "new" / "last.safetensors"
    torch.save({"ema": {f"module.{name}": tensor for name, tensor in WEIGHTS.items()}, "step": 3}, source)
    said = convert(source, out, trust_pickle=False)
    check(out)
    assert metadata(out) == {
        "source": "last.pt",
        "source_sha256": sha256_file(source),
        "picked": "ema, prefix module.",
    }
    assert said["sha256"] == sha256_file(out)
    assert said["source_sha256"] == sha256_file(source)
    assert (said["tensors"], said["parameters"], said["picked"]) == (3, 8, "ema, prefix module.")
    json.dumps(said)
    assert sorted(path.name for path in out.parent.iterdir()) == ["last.safetensors", "last.safetensors.json"]


def test_tensors_that_share_memory_are_written_apart(tmp_path: Path) -> None:
    flat = torch.arange(6.0)
    torch.save({"a": flat[:4], "b": flat[2:], "c": flat, "t": flat.reshape(2, 3).T}, tmp_path / "a.pt")
    convert(tmp_path / "a.pt", tmp_path / "a.safetensors", trust_pickle=False)
    found = load_file(tmp_path / "a.safetensors")
    assert found["b"].tolist() == [2, 3, 4, 5]
    assert found["t"].tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.slow
def test_pickled_objects_need_trust(tmp_path: Path) -> None:
    source, out = tmp_path / "last.pt", tmp_path / "last.safetensors"
    torch.save({"ema": WEIGHTS, "args": argparse.Namespace(lr=1)}, source)
    with pytest.raises(PickledObjectsError, match="--trust-pickle"):
        convert(source, out, trust_pickle=False)
    assert not out.exists()
    said = convert(source, out, trust_pickle=True)
    assert said["picked"] == "ema"
    check(out)
    assert read_state(out).keys() == WEIGHTS.keys()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_the_process_has_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's own code reports what it finds; it runs at all only because it was trusted."""
    report = tmp_path / "report.json"
    code = (
        "import json, os, resource, sys; json.dump({'env': sorted(os.environ), 'cwd': os.listdir('.'), "
        "'stdin': sys.stdin.read(), 'isolated': sys.flags.isolated, 'here': os.getpid(), "
        f"'files': resource.getrlimit(resource.RLIMIT_NOFILE)[1]}}, open({str(report)!r}, 'w'))"
    )
    source = tmp_path / "last.pt"
    module = torch.nn.Linear(2, 1)
    torch.save({"ema": module, "x": Act(exec, code)}, source)
    monkeypatch.setenv("HF_TOKEN", "secret")
    convert(source, tmp_path / "last.safetensors", trust_pickle=True)
    found = json.loads(report.read_text())
    assert set(found["env"]) <= {"PATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR", "OMP_NUM_THREADS", "LC_CTYPE"} | {
        name for name in found["env"] if name.startswith(("KMP_", "TORCH", "PYTORCH", "KINETO"))
    }
    assert (found["stdin"], found["isolated"], found["files"]) == ("", 1, 256)
    assert found["here"] != os.getpid()
    assert torch.equal(load_file(tmp_path / "last.safetensors")["weight"], module.weight)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("act", "words"),
    [
        (Act(exec, "raise ImportError('no some_package\\nsecond line')"), "ImportError: no some_package"),
        (Act(os.abort), "signal 6"),
        pytest.param(Act(os._exit, 0), "left no weights", marks=pytest.mark.full),
        pytest.param(Act(exec, "open('big', 'wb').truncate(1 << 40)"), "OSError", marks=pytest.mark.full),
    ],
    ids=["package", "abort", "exit", "size"],
)
def test_accidents_of_the_process_are_one_sentence(tmp_path: Path, act: Act, words: str) -> None:
    source, out = tmp_path / "last.pt", tmp_path / "last.safetensors"
    torch.save({"ema": WEIGHTS, "x": act}, source)
    with pytest.raises(UserError, match="could not be unpickled") as caught:
        convert(source, out, trust_pickle=True)
    assert words in caught.value.what
    assert "\n" not in str(caught.value)
    assert not out.exists()


@pytest.mark.slow
def test_no_weights_in_a_trusted_file(tmp_path: Path) -> None:
    torch.save({"args": argparse.Namespace(lr=1)}, tmp_path / "a.pt")
    with pytest.raises(UserError, match=r"no weights of a network.*args"):
        convert(tmp_path / "a.pt", tmp_path / "a.safetensors", trust_pickle=True)


def test_names_of_the_output(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match=r"name it b\.safetensors"):
        convert(tmp_path / "a.safetensors", tmp_path / "b.pt", trust_pickle=False)
    with pytest.raises(UserError, match="the same file"):
        convert(tmp_path / "a.safetensors", tmp_path / "a.safetensors", trust_pickle=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        convert(tmp_path / "a.safetensors", tmp_path / "file" / "b.safetensors", trust_pickle=False)
