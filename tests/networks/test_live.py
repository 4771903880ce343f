"""Networks of this process: what they are known by, that they are copied, and what is no such network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import sgbench
from sgbench import api
from sgbench.base.errors import UserError
from sgbench.models import catalogue
from sgbench.models.own import MODELS
from sgbench.networks.custom import bring_live
from sgbench.networks.loading import load_network
from tests.networks.test_custom import CPU, model_class
from tests.own_models import MODEL, write

pytestmark = pytest.mark.usefixtures("own_code")


def test_a_live_network_is_known_by_weights_code_and_card(tmp_path: Path) -> None:
    kind = model_class(tmp_path)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        module = kind()
    first = bring_live(module)
    assert bring_live(module) == first
    assert first.model.startswith("mine(live-")
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
    assert bring_live(other).model.partition(" ")[2] == changed.model.partition(" ")[2]
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


def test_a_function_behind_a_decorator_tells_a_network_apart() -> None:
    """Of one that holds what cannot be taken apart."""
    quiet = "import contextlib\n\n@contextlib.contextmanager\ndef quiet():\n    yield\n\nclass Typed"
    text = TYPED.replace("class Typed", quiet).replace(
        "    def forward(self, x, t", "    @quiet()\n    def forward(self, x, t"
    )
    known = [typed(one, "partly") for one in (text, text, text.replace("return self.act(", "return -self.act("))]
    assert known[0] == known[1]
    assert known[0] != known[2]


def test_hooks_tell_a_network_apart() -> None:
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
    (origin,) = (origin for name, origin in MODELS.origins.items() if name.startswith("plain(live-"))
    assert origin.text == "a live Plain"


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
