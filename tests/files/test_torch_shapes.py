"""Shapes of the tensors in a torch file: as torch reads them, and little memory for what is made to take much."""

from __future__ import annotations

import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import torch

from sgbench.files.torch_shapes import read_shapes


def test_shapes_are_those_of_the_tensors(tmp_path: Path) -> None:
    state = {"a": torch.zeros(2, 3), "b": torch.nn.Parameter(torch.zeros(4)), "c": torch.zeros(())}
    torch.save({"model": state, "step": 3}, tmp_path / "w.pt")
    found = read_shapes(tmp_path / "w.pt")
    assert found == {"model": {name: tuple(tensor.shape) for name, tensor in state.items()}, "step": 3}


@pytest.mark.parametrize(
    "hostile",
    [
        pickle.EMPTY_DICT + pickle.LONG_BINPUT + struct.pack("<I", 30_000_000),
        pickle.BYTEARRAY8 + struct.pack("<Q", 300_000_000),
        pickle.BINBYTES8 + struct.pack("<Q", 300_000_000),
        pickle.FRAME + struct.pack("<Q", 300_000_000),
    ],
    ids=["memo", "bytearray", "bytes", "frame"],
)
def test_a_few_bytes_take_little_memory(tmp_path: Path, hostile: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("w/data.pkl", pickle.PROTO + b"\x04" + hostile + pickle.STOP)
    tracemalloc.start()
    try:
        read_shapes(tmp_path / "w.pt")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 4 << 20
