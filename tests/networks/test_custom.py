"""A user's network behind the call of ours: what it is given, what is checked, and what live networks are known by."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import sgbench
from sgbench import api
from sgbench.base.errors import UserError
from sgbench.cost.macs import check_own, count_kept
from sgbench.models import catalogue
from sgbench.models.custom import bring
from sgbench.models.own import MODELS
from sgbench.networks.custom import bring_live
from sgbench.networks.denoiser import Denoiser
from sgbench.networks.loading import load_network
from tests.own_models import MODEL, line_of, write

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
    with pytest.raises(
        UserError, match=r"model.options: Model is built with \(width=16, depth=2\), and the options give"
    ):
        network(tmp_path, options={"width": 8, "windth": 8})
    with pytest.raises(UserError, match=rf"line {line_of(MODEL, 'self.patches')}: Model\(width=-1\) cannot be built"):
        network(tmp_path, options={"width": -1})


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


# Live networks


def test_a_live_network_is_known_by_weights_code_and_card(tmp_path: Path) -> None:
    kind = model_class(tmp_path)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        module = kind()
    first = bring_live(module)
    assert bring_live(module) == first
    assert first.model.startswith("mine(live) weights=")
    with torch.no_grad():
        module.places[0, 0] += 1
    changed = bring_live(module)
    assert changed.model != first.model
    assert changed.sha256 == first.sha256
    # What is no weight, and no code either.
    module.blocks[0].self_attn.num_heads = 4
    assert bring_live(module).model != changed.model
    module.blocks[0].self_attn.num_heads = 2
    other = model_class(tmp_path, MODEL + "# changed\n")()
    other.load_state_dict(module.state_dict())
    assert bring_live(other).model == changed.model
    assert bring_live(other).sha256 != changed.sha256


# As it is typed in: there is no source to read.
TYPED = """
import functools
import torch
from torch import nn
from sgbench import Adapter, ModelCard

SCALE = 2.0
CHOICES = {"gain": 1}

def moved(x):
    return x + 5

class Block(nn.Module):
    @staticmethod
    def twice(x):
        return x * 7

    def forward(self, x):
        return self.twice(moved(x)) * SCALE * CHOICES["gain"]

class Schedule:
    def __init__(self):
        self.power = 11

    def __call__(self, t):
        return t**self.power + 12

class Typed(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(), nn.Linear(2, 2, bias=False)])
        self.register_buffer("table", torch.ones(2), persistent=False)
        self.shift, self.options, self._gain = torch.zeros(2), {"mode": "a"}, 1.0
        self.schedule, self.act = Schedule(), lambda x: x * 13
        nn.init.ones_(self.blocks[1].weight)

    def forward(self, x, t, condition, tokens):
        return self.act(self.blocks[0](x))

def call(module, x, t, condition, tokens, bias):
    return module(x, t, condition, tokens) + bias * 17

class Call:
    bias = 18

    def __call__(self, module, *given):
        return module(*given) * self.bias + 19

card = ModelCard(name="typed", shape=(1, 8, 8), tokens=4, classes=2, prediction="velocity")
partly = Adapter(Typed(), card, functools.partial(call, bias=23))
by_an_object = Adapter(Typed(), card, Call())
"""


def typed(text: str, name: str) -> tuple[str, str]:
    """What a live network is known by."""
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, "<a cell>", "exec"), space)
    brought = bring_live(space[name])
    return brought.model, brought.sha256


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("torch.ones(2)", "torch.ones(2) * 2"),
        ("torch.zeros(2)", "torch.zeros(2) - 1"),
        ("torch.zeros(2)", "torch.zeros(2, 1)"),
        ("torch.zeros(2)", "torch.zeros(2).to_sparse()"),
        ("torch.zeros(2)", "torch.zeros(2, dtype=torch.complex64)"),
        ("torch.zeros(2)", "torch.zeros(2).numpy()"),
        ('"a"', '"b"'),
        ("1.0", "1.5"),
        ("SCALE = 2.0", "SCALE = 3.0"),
        ('"gain": 1', '"gain": 2'),
        *((f" {number}\n", f" {number + 30}\n") for number in (5, 7, 11, 12, 17, 18, 19)),
        ("x * 13", "x * 14"),
        ("t**self", "t*self"),
        ("bias=23", "bias=24"),
        ("nn.Linear(2, 2, bias=False)", "nn.Conv1d(2, 2, 1, bias=False)"),
        ("ones_(self", "zeros_(self"),
        ("self._gain =", "self._bias ="),
    ],
    ids=str,
)
def test_whatever_a_typed_network_is_made_of_tells_it_apart(old: str, new: str) -> None:
    names = ("partly", "by_an_object")
    before = [typed(TYPED, name) for name in names]
    assert [typed(TYPED, name) for name in names] == before
    assert TYPED.count(old) == 1
    after = [typed(TYPED.replace(old, new), name) for name in names]
    only = {"17": 0, "bias=23": 0, "18": 1, "19": 1}
    changed = [one != other for one, other in zip(before, after, strict=True)]
    assert changed == [only.get(old.strip(), number) == number for number in range(2)]


def test_hooks_and_shared_weights_tell_a_network_apart() -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(TYPED, "<a cell>", "exec"), space)
    adapter = space["partly"]
    known = {bring_live(adapter).model}
    hook = adapter.module.register_forward_hook(lambda module, given, made: made * 2)
    known.add(bring_live(adapter).model)
    hook.remove()
    assert bring_live(adapter).model in known
    adapter.module.register_forward_hook(lambda module, given, made: made * 3)
    known.add(bring_live(adapter).model)
    assert len(known) == 3


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("(x for x in ())", "the network cannot be copied (cannot pickle 'generator' object); let its attributes hold"),
        ("nn.Linear(2, 2).weight * 2", "the network cannot be copied (Only Tensors created explicitly by the user"),
        ("torch.zeros(2, device='meta')", "cannot be told from another (a tensor on the device meta has no values)"),
        ("nn.LazyLinear(2)", "lazy modules of Typed have no parameters before they are called; write modules with"),
    ],
)
def test_what_cannot_be_known_of_a_live_network_is_said_in_a_sentence(new: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        typed(TYPED.replace("torch.zeros(2)", new), "partly")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_known_of_a_call_is_said_in_a_sentence() -> None:
    text = TYPED.replace("    bias = 18", "    def __init__(self):\n        self.bias = (x for x in ())")
    with pytest.raises(UserError, match=r"what makes this Typed cannot be told from another .*; let the network, and"):
        typed(text, "by_an_object")


def test_lazy_modules_in_a_file_are_told(tmp_path: Path) -> None:
    text = MODEL.replace("nn.Linear(1, width)", "nn.LazyLinear(width)")
    with pytest.raises(UserError, match=r"mine.py, line \d+: lazy modules of Model have no parameters before"):
        network(tmp_path, text)


def test_a_live_network_is_copied_as_it_is(tmp_path: Path) -> None:
    module = model_class(tmp_path)().train()
    brought = bring_live(module)
    before = module.places.detach().clone()
    with torch.no_grad():
        module.places += 1
    kept = load_network(catalogue.entry(brought.model), "main", CPU)
    assert torch.equal(kept.wrapped.state_dict()["places"], before)
    assert module.training
    assert module.places.requires_grad


def test_an_adapter_gives_a_card_and_calls_in_another_way() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.map = nn.Conv2d(1, 1, 1)

        def forward(self, noisy: torch.Tensor) -> torch.Tensor:
            return self.map(noisy)

    card = sgbench.ModelCard(name="plain", shape=(1, 8, 8), tokens=4, classes=2, prediction="velocity")
    module = Plain()
    with pytest.raises(UserError, match="the class Plain has no card"):
        bring_live(module)
    with pytest.raises(UserError, match=r"Plain.forward takes \(self, noisy.*let it take \(x, t, condition, tokens\)"):
        bring_live(sgbench.Adapter(module, card))
    brought = bring_live(sgbench.Adapter(module, card, lambda network, x, t, condition, tokens: network(x)))
    found = load_network(catalogue.entry(brought.model), "main", CPU)
    x = torch.randn(2, 1, 8, 8)
    assert torch.equal(found(x, torch.tensor([0.5]), torch.tensor([0])), module(x))
    assert MODELS.origin("plain(live)").text == "a live Plain"


@pytest.mark.parametrize("given", ["mine", None, {"card": 1}, nn.ReLU], ids=str)
def test_what_is_no_network_is_refused(given: object) -> None:
    with pytest.raises(UserError, match=r"is no model; give a torch.nn.Module with a card"):
        bring_live(given)


def test_workers_of_ray_do_not_have_a_live_network(tmp_path: Path) -> None:
    from sgbench.run.engines import Ray

    suite = api.with_model(api.load_suite(write(tmp_path)), model_class(tmp_path)())
    with pytest.raises(UserError, match="is a network of this process, which workers of Ray do not have"):
        api.run_suite(suite, tmp_path / "results", ray=Ray())
    assert not (tmp_path / "results").exists()
