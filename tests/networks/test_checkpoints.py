"""Reading, picking and loading weights in files of others."""

from __future__ import annotations

import argparse
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from sgbench.base.errors import UserError
from sgbench.models.describe import describe_state, guess_families
from sgbench.models.families.dit import DiTArchitecture
from sgbench.models.families.maskdit import MaskDiTArchitecture
from sgbench.models.families.mdtv2 import MDTv2Architecture
from sgbench.models.families.sprint import SprintArchitecture
from sgbench.networks.checkpoints import PickledObjectsError, load_strict, pick_weights, read_state
from sgbench.networks.dit import DiT
from sgbench.networks.maskdit import MaskDiT
from sgbench.networks.mdtv2 import MDTv2
from sgbench.networks.sprint import Sprint

SIZES: dict[str, Any] = {
    "input_size": 8,
    "patch_size": 2,
    "in_channels": 4,
    "hidden_size": 16,
    "depth": 3,
    "num_heads": 2,
    "num_classes": 5,
}


def dit(**changes: Any) -> DiT:
    return DiT(DiTArchitecture(**{**SIZES, "out_channels": 4, **changes}))


def maskdit() -> MaskDiT:
    return MaskDiT(MaskDiTArchitecture(**SIZES, decoder_hidden_size=8, decoder_depth=2, decoder_num_heads=2))


def sprint() -> Sprint:
    return Sprint(SprintArchitecture(**{**SIZES, "depth": 4}, encoder_depth=1, middle_depth=2, decoder_depth=1))


def mdtv2() -> MDTv2:
    return MDTv2(MDTv2Architecture(**SIZES, out_channels=8, decoder_depth=1))


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, 2])}


class Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def test_safetensors_zip_and_legacy_files_read_the_same(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "a.safetensors")
    torch.save(STATE, tmp_path / "a.pt")
    torch.save({"ema": STATE, "step": 3}, tmp_path / "a.ckpt", _use_new_zipfile_serialization=False)
    for name in ("a.safetensors", "a.pt", "a.ckpt"):
        assert same(read_state(tmp_path / name), STATE), name


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_in_a_malicious_file_runs(tmp_path: Path, zipped: bool) -> None:
    path, touched = tmp_path / "evil.pt", tmp_path / "touched"
    torch.save({"ema": STATE, "x": Touch(touched)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(PickledObjectsError, match=r"pickled objects that could run code \(the first is \w+\.system\)"):
        read_state(path)
    assert not touched.exists()
    pickle.loads(pickle.dumps(Touch(touched)))
    assert touched.exists(), "the file would have run code"


@pytest.mark.parametrize("protocol", [2, 4])
def test_nothing_in_a_bare_pickle_runs(tmp_path: Path, protocol: int) -> None:
    path, touched = tmp_path / "evil.pkl", tmp_path / "touched"
    path.write_bytes(pickle.dumps(Touch(touched), protocol=protocol))
    with pytest.raises(UserError):
        read_state(path)
    assert not touched.exists()


def test_a_pickled_object_names_itself_and_the_command(tmp_path: Path) -> None:
    path = tmp_path / "my run.pt"
    torch.save({"ema": STATE, "args": argparse.Namespace(lr=1)}, path)
    with pytest.raises(PickledObjectsError) as caught:
        read_state(path)
    assert "argparse.Namespace" in caught.value.what
    assert caught.value.where == str(path)
    assert f"sgbench models convert '{path}' 'my run'.safetensors --trust-pickle" in caught.value.fix


def test_a_protocol_the_safe_reader_does_not_know_may_be_converted(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "a.pt", pickle_protocol=4)
    with pytest.raises(PickledObjectsError, match="--trust-pickle"):
        read_state(tmp_path / "a.pt")


def damaged(kind: str, path: Path) -> Path:
    save_file(STATE, path / "whole.safetensors")
    torch.save(STATE, path / "whole.pt")
    torch.save(STATE, path / "legacy.pt", _use_new_zipfile_serialization=False)
    suffix = "safetensors" if kind.endswith("safetensors") else "pt"
    made = path / f"made.{suffix}"
    if kind.startswith("cut"):
        whole = (path / f"{'legacy' if 'legacy' in kind else 'whole'}.{suffix}").read_bytes()
        made.write_bytes(whole[: -9 if "end" in kind else len(whole) // 2])
    elif kind.startswith("random"):
        made.write_bytes(bytes(range(100, 200)) * 9)
    elif kind.startswith("short"):
        made.write_bytes(b"\x07\x00")
    return made


@pytest.mark.parametrize(
    "kind",
    [
        "cut safetensors",
        "cut pt",
        "cut end pt",
        "cut legacy pt",
        "cut end legacy pt",
        "random pt",
        "random safetensors",
        "short pt",
        "short safetensors",
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UserError, match=r"damaged or no checkpoint \(.+\); compare its size and sha256") as caught:
        read_state(damaged(kind, tmp_path))
    assert "\n" not in str(caught.value)
    assert not isinstance(caught.value, PickledObjectsError)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b"<!DOCTYPE html>", "web page"), (b"version https://git-lfs.github.com/spec", "Git LFS")],
)
def test_what_a_failed_download_leaves_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    for name in ("a.pt", "a.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=words):
            read_state(tmp_path / name)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_state(tmp_path / "none.pt")
    with pytest.raises(UserError, match="directory"):
        read_state(tmp_path)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
def test_a_program_is_no_checkpoint(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "a.pt")
    with pytest.raises(UserError, match="TorchScript"):
        read_state(tmp_path / "a.pt")


OTHER = {name: tensor + 1 for name, tensor in STATE.items()}


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (STATE, "the whole file"),
        ({"model": OTHER, "ema": STATE, "opt": {"state": {0: {"m": torch.ones(2)}}}}, "ema"),
        ({"model": OTHER, "ema": None, "state_dict": STATE}, "state_dict"),
        ({"model": OTHER, "ema": {"decay": 0.9}, "model_ema": STATE, "epoch": torch.tensor(3)}, "model_ema"),
        ({"ema_state_dict": STATE, "model_state_dict": OTHER}, "ema_state_dict"),
        ({"state": {"model": STATE, "optimizers": {}}, "rng": []}, "state.model"),
        ({"net": {"module": STATE}}, "net.module"),
        (
            {"ema": {f"model._orig_mod.{k}": v for k, v in STATE.items()}, "model": OTHER},
            "ema, prefix model._orig_mod.",
        ),
        ({f"module.{k}": v for k, v in STATE.items()}, "the whole file, prefix module."),
        ({f"_orig_mod.module.dit.{k}": v for k, v in STATE.items()}, "the whole file, prefix _orig_mod.module.dit."),
        ({**STATE, "epoch": 3}, "the whole file"),
    ],
)
def test_the_weights_are_found(content: dict[str, Any], note: str) -> None:
    weights, found = pick_weights(content, "file")
    assert same(weights, STATE)
    assert found == note


def test_a_submodule_that_is_called_like_a_prefix_keeps_its_name() -> None:
    state = {"model.weight": torch.ones(1), "head.weight": torch.ones(1)}
    assert pick_weights(state, "file")[0].keys() == state.keys()


@pytest.mark.parametrize("content", [{}, {"opt": {"lr": torch.ones(1)}}, [torch.ones(1)], {"ema": {"decay": 1}}, None])
def test_no_weights_say_what_was_found(content: object) -> None:
    with pytest.raises(UserError, match="no weights of a network are in the file") as caught:
        pick_weights(content, "file.pt")
    assert caught.value.where == "file.pt"


def test_a_file_that_holds_itself_ends() -> None:
    content: dict[str, Any] = {}
    content["model"] = content
    with pytest.raises(UserError, match="no weights"):
        pick_weights(content, "file")


def test_loading_is_strict_converts_and_ignores() -> None:
    network, other = dit(), dit()
    state = {name: torch.rand_like(tensor).double() for name, tensor in network.state_dict().items()}
    load_strict(other, {**state, "projectors.0.weight": torch.ones(2)}, "file", ignore=("projectors.",))
    assert all(torch.equal(tensor, state[name].float()) for name, tensor in other.state_dict().items())
    load_strict(other.half(), state, "file")
    assert other.x_embedder.proj.weight.dtype == torch.float16


def renamed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


def explained(state: dict[str, Tensor], network: torch.nn.Module | None = None) -> str:
    network = network or dit()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(UserError) as caught:
        load_strict(network, state, "some file.pt")
    assert same(network.state_dict(), before), "nothing is loaded"
    assert len(caught.value.what) < 1500
    assert "\n" not in caught.value.what
    assert "sgbench models info 'some file.pt'" in caught.value.fix
    return caught.value.what


@pytest.mark.slow
def test_mismatches_are_explained() -> None:
    own = dit().state_dict()
    cases: list[tuple[str, dict[str, Tensor]]] = [
        ("another family: not one name is common", STATE),
        ("another family: not one name is common", {"weight": torch.ones(1)}),
        ("the file looks like sprint, the network is dit", sprint().state_dict()),
        ("the file looks like maskdit, the network is dit", maskdit().state_dict()),
        ("the file looks like mdtv2, the network is dit", mdtv2().state_dict()),
        ("the file looks like diffusers", {"transformer_blocks.0.attn1.to_q.weight": torch.ones(1)}),
        ("another size: width 32 in the file, 16 in the network", dit(hidden_size=32).state_dict()),
        ("another patch size", dit(patch_size=4).state_dict()),
        ("another number of channels", dit(in_channels=3).state_dict()),
        ("another resolution: pos_embed is [1, 64, 16] in the file", dit(input_size=16).state_dict()),
        ("another number of classes: a table of [11, 16] in the file, [6, 16]", dit(num_classes=10).state_dict()),
        ("the file has a learned sigma", dit(out_channels=8).state_dict()),
        ("fewer layers: 2 blocks in the file, 3 in the network", dit(depth=2).state_dict()),
        ("more layers: 4 blocks in the file, 3 in the network", dit(depth=4).state_dict()),
        ("the names differ by the prefix backbone. in the file", renamed(own, "backbone.")),
        ("another copy of them under the prefix ema.", {**own, **renamed(own, "ema.")}),
        ("under the prefix ema.", {**renamed(own, "net."), **renamed(own, "ema.")}),
        ("projectors of a REPA training run", {**own, "projectors.0.0.weight": torch.ones(1)}),
        ("parts that the network has not: head", {**own, "head.weight": torch.ones(1)}),
        ("the file lacks parts: pos_embed", {name: t for name, t in own.items() if name != "pos_embed"}),
        ("another size", {**own, "blocks.0.mlp.fc1.weight": torch.ones(16, 16)}),
    ]
    for words, state in cases:
        if words == "under the prefix ema.":
            assert "the names differ by the prefix net. and ema." in explained(state)
        else:
            assert words in explained(state), explained(state)
    assert "the network has a learned sigma" in explained(own, dit(out_channels=8))
    assert "the names differ by the prefix 0. in the network" in explained(own, torch.nn.Sequential(dit()))


def test_counts_and_first_examples_are_given() -> None:
    own = dit().state_dict()
    state = {name: tensor for name, tensor in own.items() if not name.startswith("blocks.2.")}
    state |= {"extra": torch.ones(7), "pos_embed": torch.ones(1, 4, 16)}
    what = explained(state)
    assert f"Of its {len(own)} tensors 10 missing (blocks.2.attn.qkv.weight [48, 16]; " in what
    assert what.count("blocks.2.") == 3
    assert "...)" in what
    assert "1 unexpected (extra [7])" in what
    assert "1 of another shape (pos_embed [1, 4, 16], in the network [1, 16, 16])" in what


def test_families_are_guessed() -> None:
    cases: list[tuple[torch.nn.Module, list[str]]] = [
        (dit(), ["tread-dit", "tread-sit", "dit", "sit"]),
        (dit(out_channels=8), ["dit", "sit"]),
        (dit(inner_block=1), ["ig-sit"]),
        (maskdit(), ["maskdit"]),
        (sprint(), ["sprint"]),
        (mdtv2(), ["mdtv2"]),
        (torch.nn.Linear(2, 2), []),
    ]
    for network, families in cases:
        shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        assert guess_families(shapes) == families
    repa = {**dit().state_dict(), "projectors.0.0.weight": torch.ones(1)}
    assert guess_families({name: tuple(tensor.shape) for name, tensor in repa.items()}) == ["repa-sit"]
    micro = {"patch_mixer.0.norm1.weight": (4,), "blocks.0.norm1.weight": (4,)}
    assert guess_families(micro) == ["microdit"]


def test_a_state_is_described() -> None:
    state = dit(out_channels=8).half().state_dict()
    found = describe_state({**state, "pos_embed": state["pos_embed"].float()})
    assert found["tensors"] == len(state)
    assert found["parameters"] == sum(tensor.numel() for tensor in state.values())
    assert found["dtypes"] == {"float16": len(state) - 1, "float32": 1}
    assert found["first_names"][0] == "pos_embed"
    sizes = {"width": 16, "depth": 3, "patch": 2, "tokens": 16, "classes": 5, "in_channels": 4, "out_channels": 8}
    assert {key: found[key] for key in sizes} == sizes
    assert describe_state(maskdit().state_dict()) | {"classes": 5, "depth": 3, "width": 16} == describe_state(
        maskdit().state_dict()
    )
    assert describe_state(sprint().state_dict())["depth"] == 4
    assert describe_state(mdtv2().state_dict())["depth"] == 3
    assert "patch" not in describe_state(sprint().state_dict())
    assert describe_state(STATE)["families"] == []
    assert "depth" not in describe_state(STATE)
