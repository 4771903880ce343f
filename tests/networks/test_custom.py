"""A user's network behind the call of ours: what it is given, and what is checked."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from sgbench.base.errors import UserError
from sgbench.cost.macs import check_own, count_kept
from sgbench.models import catalogue
from sgbench.models.custom import bring
from sgbench.models.own import MODELS
from sgbench.networks.denoiser import Denoiser
from sgbench.networks.loading import load_network
from tests.own_models import MODEL, line_of

pytestmark = pytest.mark.usefixtures("own_code")
CPU = torch.device("cpu")


def model_class(folder: Path, text: str = MODEL) -> Any:
    """The class of a file, as a script imports it."""
    path = folder / "mine.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("mine", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Model


def network(folder: Path, text: str = MODEL, **given: Any) -> Denoiser:
    """The network as a run loads it."""
    # Equal files are loaded once, wherever they are.
    (folder / "mine.py").write_text(f"{text}# {folder}\n")
    brought = bring({"custom": "mine.py:Model", "weights": "random", **given}, folder, "suite: model")
    return load_network(catalogue.entry(brought.model), "main", CPU)


def call(found: Denoiser, batch: int = 3, kept: int | None = None) -> torch.Tensor:
    tokens = None if kept is None else torch.arange(kept).expand(batch, -1)
    x = torch.randn(batch, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    # One time and one class for all samples, as the engine gives them.
    made: torch.Tensor = found(x, torch.full((1,), 0.5), torch.tensor([10]), tokens)
    return made


def test_a_network_is_given_one_time_and_one_class_for_each_sample(tmp_path: Path) -> None:
    found = network(tmp_path)
    own = found.wrapped
    x = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = own(x, torch.full((3,), 0.5), torch.full((3,), 10), None)
    assert torch.equal(call(found), expected)
    assert not torch.equal(call(found, kept=8), expected)
    assert not found.training
    assert not any(parameter.requires_grad for parameter in found.parameters())


def test_weights_go_into_the_class_and_random_ones_are_always_the_same(tmp_path: Path) -> None:
    state = model_class(tmp_path)(width=8).state_dict()
    save_file(state, tmp_path / "w.safetensors")
    torch.save({"ema": state, "step": 3}, tmp_path / "w.pt")
    for name in ("w.safetensors", "w.pt"):
        loaded = network(tmp_path, weights=name, options={"width": 8}).wrapped.state_dict()
        assert all(torch.equal(loaded[key], tensor) for key, tensor in state.items())
    one, other = (network(tmp_path).wrapped.state_dict() for _ in range(2))
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", ["net", "model", "dit", "module"])
def test_weights_of_a_network_inside_a_wrapper_keep_its_name(tmp_path: Path, name: str) -> None:
    inner = MODEL.replace("class Model(nn.Module)", "class Inner(nn.Module)")
    start, end = inner.index("    card = "), inner.index("    def __init__")
    outer = f"""

class Model(nn.Module):
{inner[start:end]}
    def __init__(self):
        super().__init__()
        self.{name} = Inner()

    def forward(self, x, t, condition, tokens):
        return self.{name}(x, t, condition, tokens)
"""
    text = inner[:start] + inner[end:] + outer
    state = model_class(tmp_path, text)().state_dict()
    torch.save(state, tmp_path / "plain.pt")
    torch.save({"model": {f"module.{key}": tensor for key, tensor in state.items()}}, tmp_path / "parallel.pt")
    for file in ("plain.pt", "parallel.pt"):
        loaded = network(tmp_path, text, weights=file).wrapped.state_dict()
        assert all(torch.equal(loaded[key], tensor) for key, tensor in state.items())


def test_weights_that_do_not_fit_are_told_by_name(tmp_path: Path) -> None:
    save_file(model_class(tmp_path)(width=8).state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=r"of another shape \(.*in the network.*give mine the options that the weights"):
        network(tmp_path, weights="w.safetensors")
    with pytest.raises(UserError, match=r"the weight file v.safetensors is missing; put weights of mine there"):
        network(tmp_path, weights="v.safetensors")


def test_a_network_with_parameters_needs_weights(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"mine.py, line \d+: mine weights=none has parameters and no weights"):
        network(tmp_path, weights="none")
    start, end = MODEL.index("    def __init__"), MODEL.index("    def forward")
    bare = MODEL[:start] + MODEL[end:].partition("\n")[0] + "\n        return x / t[:, None, None, None]\n"
    found = network(tmp_path, bare, weights="none")
    assert call(found).shape == (3, 1, 8, 8)
    assert catalogue.entry("mine weights=none").checkpoint_hashes("none") == {"main": "none"}


@pytest.mark.parametrize(
    ("old", "new", "said", "part"),
    [
        (
            "(4, 4)))",
            "(4, 4)))[:, :, :4]",
            "makes [3, 1, 4, 8] of torch.float32 of samples",
            "def forward",
        ),
        ("(4, 4)))", "(4, 4))).long()", "makes [3, 1, 8, 8] of torch.int64 of samples", "def forward"),
        ("return self.out(", "return h, (", "mine makes a tuple of samples", "def forward"),
        ("return self.out(", "return self.out(x) + (", "mine fails", "return self.out"),
        ("self.label(condition)", "self.lable(condition)", "has no attribute 'lable'", "h = self.patches"),
    ],
)
def test_what_goes_wrong_in_a_call_is_told_by_file_and_line(
    tmp_path: Path, old: str, new: str, said: str, part: str
) -> None:
    text = MODEL.replace(old, new)
    with pytest.raises(UserError) as caught:
        call(network(tmp_path, text))
    assert said in str(caught.value)
    assert f"{tmp_path / 'mine.py'}, line {line_of(text, part)}" in str(caught.value)


def test_an_error_in_the_constructor_is_told_by_file_and_line(tmp_path: Path) -> None:
    said = r"model.options: Model takes \(width=16, depth=2\), and the options are width, windth; correct the options"
    with pytest.raises(UserError, match=said):
        network(tmp_path, options={"width": 8, "windth": 8})
    with pytest.raises(UserError, match=rf"line {line_of(MODEL, 'self.patches')}: Model\(width=-1\) cannot be built"):
        network(tmp_path, options={"width": -1})


def test_lazy_modules_in_a_file_are_told(tmp_path: Path) -> None:
    text = MODEL.replace("nn.Linear(1, width)", "nn.LazyLinear(width)")
    with pytest.raises(UserError, match=r"mine.py, line \d+: lazy modules of Model have no parameters before"):
        network(tmp_path, text)


# What it costs


def test_dropped_tokens_save_work_and_the_count_says_how_much(tmp_path: Path) -> None:
    found = network(tmp_path, options={"width": 16, "depth": 2})
    check_own(found)
    dense, half = count_kept(found, 16), count_kept(found, 8)
    # Of a block: 12 n d^2 of products, 2 n^2 d of attention, 2 n d of norms.
    assert dense.linear - half.linear == 2 * 12 * 8 * 16**2
    assert dense.attention - half.attention == 2 * 2 * (16**2 - 8**2) * 16
    assert dense.normalised - half.normalised == 2 * 2 * 8 * 16


@pytest.mark.parametrize(
    "ignored",
    [
        MODEL.replace("index = None if tokens is None", "index = None if True"),
        # Masked after the work is done.
        MODEL.replace("kept = h if index is None else h.gather(1, index)", "kept = h").replace(
            "h.scatter(1, index, kept)", "h.scatter(1, index, kept.gather(1, index))"
        ),
    ],
    ids=["ignored", "after the blocks"],
)
def test_tokens_that_save_no_work_are_refused_by_file_and_line(tmp_path: Path, ignored: str) -> None:
    with pytest.raises(UserError) as caught:
        check_own(network(tmp_path, ignored))
    found = str(caught.value)
    assert found.startswith(f"{tmp_path / 'mine.py'}, line {line_of(ignored, 'def forward')}: with 8 of 16 tokens")
    assert "`tokens` saves no work" in found
    # A card that does not say so is believed.
    check_own(network(tmp_path, ignored.replace('drops="dropped tokens skip all blocks",', "")))


def test_operators_that_cannot_be_counted_are_named(tmp_path: Path) -> None:
    text = MODEL.replace("h = self.patches(x)", "x = torch.fft.fft2(x).real; h = self.patches(x)")
    with pytest.raises(UserError, match=rf"line {line_of(text, 'def forward')}: fvcore cannot count aten::fft_fft2"):
        count_kept(network(tmp_path, text), 16)


MACS = "trained_gamma=0.5, macs=lambda kept: {},"


def test_a_closed_form_is_held_to_the_count(tmp_path: Path) -> None:
    counted = [count_kept(network(tmp_path), kept) for kept in (16, 8)]
    table = f"{{16: {tuple(counted[0])}, 8: {tuple(counted[1])}}}"
    imported = MODEL.replace("import ModelCard", "import Macs, ModelCard")
    right = imported.replace("trained_gamma=0.5,", MACS.format(f"Macs(*{table}[kept])"))
    found = network(tmp_path, right)
    assert [count_kept(found, kept) for kept in (16, 8)] == counted
    (tmp_path / "wrong").mkdir()
    MODELS.drop_brought()
    for form, said in (
        ("Macs(kept, 0, 0)", "the closed form .* with 16 tokens kept; correct `macs` in the card"),
        ("kept", "the card's `macs` gives a int"),
        ("1 // 0", r"the card's `macs` cannot count 16 tokens \(ZeroDivisionError"),
    ):
        text = imported.replace("trained_gamma=0.5,", MACS.format(form))
        with pytest.raises(UserError, match=said):
            count_kept(network(tmp_path / "wrong", text), 16)


def test_perturbed_blocks_reach_the_network_and_are_counted(tmp_path: Path) -> None:
    from sgbench.guidance import RULES

    text = MODEL.replace("null=10,", "null=10, blocks=2,").replace("tokens=None)", "tokens=None, change=None)")
    text = text.replace(
        "        for block in self.blocks:\n            kept = block(kept)",
        "        for number, block in enumerate(self.blocks):\n"
        "            kept = kept if change and number in change.layers else block(kept)",
    )
    found = network(tmp_path, text)
    branch = RULES["slg"].perturbed
    assert branch is not None
    assert branch.perturbation is not None
    skipped = branch.perturbation((1,))
    x, t, condition = torch.randn(1, 1, 8, 8), torch.tensor([0.5]), torch.tensor([10])
    assert not torch.equal(found(x, t, condition), found(x, t, condition, None, skipped))
    dense, less = count_kept(found, 16), count_kept(found, 16, skipped)
    assert dense.linear - less.linear == 12 * 16 * 16**2
