"""Every family and every embedded model keeps the laws of models, and what breaks one is told so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from textwrap import indent

import pytest

import sgbench
from sgbench.conformance.check import model_case
from sgbench.conformance.devices import NAME
from sgbench.conformance.law import judge, judge_one
from sgbench.conformance.model_case import ModelCase
from sgbench.conformance.model_clock import LAWS as OF_THE_CLOCK
from sgbench.conformance.model_cost import TIME
from sgbench.conformance.models import LAWS
from sgbench.models.catalogue import Checkpoint, ModelInfo
from sgbench.models.embedded import recipe_names
from sgbench.models.families import FAMILIES
from sgbench.models.family import Prediction
from tests.conformance.conftest import Found, replaced
from tests.models.test_families import network
from tests.own_models import MODEL as GOOD

OBJECT = "Model"
# A law of the machine as of the model, which a busy one may break.
ALWAYS = [law for law in LAWS if law is not TIME]
END = "        return self.out(h.mT.unflatten(2, (4, 4)))\n"
DROP, BLOCK = "None if tokens is None else tokens[:, :, None]", "            kept = block(kept)\n"


def ends(text: str) -> tuple[str, str]:
    return END, END.replace("return", "made =") + f"        {text}\n"


ALL_KEPT = "            kept = block(kept) * (1 if tokens is None or tokens.shape[1] < 16 else 0.9)\n"
BY_PLACE = BLOCK + "            kept = kept + (torch.arange(kept.shape[1])[:, None] if kept.shape[1] < 16 else 0)\n"
NO_SAVINGS = "            kept = block(kept) + 0 * sum(block(h).sum() for _ in range(0 if tokens is None else 8))\n"
COUNTS = "self.calls = getattr(self, 'calls', 0) + 1\n        return made * (1 + 1e-5 * self.calls)"
FIRST_KEPT = "None if tokens is None else torch.arange(tokens.shape[1]).expand(len(x), -1)[:, :, None]"
IN_PLACE = "tokens is None or len(x) == 1 or tokens.copy_(tokens.sort(dim=1).values)\n        return made"
RANDOM = "return made + 1e-9 * __import__('numpy').random.rand()"
CARD = "trained_gamma=0.5,"
STATED = [("import ModelCard", "import Macs, ModelCard"), (CARD, "macs=lambda kept: Macs(1000 * kept, 0, 0),")]
CHANGE = [(CARD, "blocks=2,"), ("tokens=None):", "tokens=None, change=None):")]
# As docs/checkpoints.md has it.
ATTENDS = """\
class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm1, self.norm2, self.mlp = nn.LayerNorm(width), nn.LayerNorm(width), nn.Linear(width, width)

    def forward(self, h, change=None):
        attend = F.scaled_dot_product_attention if change is None else change.attention
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.qkv(self.norm1(h)).chunk(3, 2))
        h = h + self.out(attend(q, k, v, None).transpose(1, 2).flatten(2))
        return h + F.gelu(self.mlp(self.norm2(h)))
"""
RUNS = """\
for number, block in enumerate(self.blocks):
    acts = change is not None and number in change.layers
    if not (acts and change.skips_blocks):
        kept = block(kept, change.at(number) if acts else None)
"""
PERTURBED = [
    (CARD, CARD + "blocks=2, width=16,"),
    ("tokens=None):", "tokens=None, change=None):"),
    ("\n\nclass Model", f"import torch.nn.functional as F\n\n\n{ATTENDS}\n\nclass Model"),
    ("layer = lambda: nn.TransformerEncoderLayer(width, 2, 4 * width, 0.0, batch_first=True, norm_first=True)\n", "\n"),
    ("nn.ModuleList(layer() for", "nn.ModuleList(Block(width, 2) for"),
    (f"        for block in self.blocks:\n{BLOCK}", indent(RUNS, " " * 8)),
]
LABEL = "self.label(condition)"
# Changes of the file, the law that they break, and what is said.
CHANGES = {
    "another shape": ([ends("return made[:1]")], "declared shape", "mine makes [1, 1, 8, 8] of torch.float32 of"),
    "another type": ([ends("return made.double()")], "declared shape", "the output is float64, not float32"),
    "not finite": ([ends("return made / 0")], "declared shape", "values that are not finite"),
    "it fails": ([ends("return made.other")], "declared shape", "the model mine fails in "),
    "a mask": ([(BLOCK, ALL_KEPT)], "none dropped", "a call that keeps all 16 tokens differs from one that drops none"),
    "the order": ([(BLOCK, BY_PLACE)], "order of the kept", "the same 8 tokens in another order change the output by"),
    "no tokens": ([(DROP, FIRST_KEPT)], "kept matters", "which 8 of 16 tokens are kept does not matter"),
    "the batch": ([ends("return made + made.mean(0)")], "batch of one", "alone, image 3 of 8 differs by"),
    "no null": ([(LABEL, "self.label(condition % 10)")], "null condition", "gives what the given one gives"),
    "no time": ([("self.time(t[:, None])", "0")], "are seen", "another time changes nothing"),
    "no condition": ([(LABEL, "self.label(condition // 10)")], "are seen", "another condition changes nothing"),
    "a memory": ([ends(COUNTS)], "same call", "differs by"),
    "in place": ([ends(IN_PLACE)], "leaves its inputs", "tokens is changed in place by"),
    "NumPy": ([ends(RANDOM)], "global random state", "it draws from NumPy's global generator"),
    "an operator": (
        [ends("return made + 0 * torch.fft.rfft(made).real.sum()")],
        "fvcore counts",
        "cannot count aten::",
    ),
    "what is stated": (STATED, "fvcore counts", "the closed form 16000 with 16 tokens kept"),
    "no savings": ([(BLOCK, NO_SAVINGS)], "multiply-accumulates fall", "with 12 of 16 tokens a call costs"),
    "no attention": (
        [*PERTURBED, ("acts and change.skips_blocks", "acts"), ("change.at(number) if acts else ", "")],
        "perturbed block",
        "block 1 of 2 does not run where its attention is the identity",
    ),
    "no block": ([*PERTURBED, ("change.at(number)", "change")], "perturbed block", "drawn for its images, and at a"),
    "no width": (
        [*PERTURBED, ("blocks=2, width=16,", "blocks=2, width=8,")],
        "perturbed block",
        "the model mine fails in ",
    ),
    "no change": (CHANGE, "perturbed block", "in block 1 of 2 changes nothing"),
}


def broken_of(case: ModelCase) -> list[str]:
    return [str(verdict) for verdict in judge(ALWAYS, case) if verdict.outcome == "broken"]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_keeps_every_law(name: str) -> None:
    made = network(name)
    info = ModelInfo(name, name, FAMILIES[name], made.architecture, Checkpoint("random"), None, in_pixels=True)
    assert not broken_of(ModelCase(info, made))


@pytest.mark.slow
@pytest.mark.parametrize("name", recipe_names())
def test_every_embedded_model_keeps_every_law(name: str) -> None:
    assert not broken_of(model_case(name))


def test_a_model_of_a_users_may_keep_them_all(broken: Found) -> None:
    assert broken(GOOD, OBJECT, lambda case: case, ALWAYS) == {}


def test_a_model_may_hold_whole_numbers_as_parameters(broken: Found) -> None:
    place = "        self.places = "
    table = "        self.table = nn.Parameter(torch.arange(4), requires_grad=False)\n"
    assert broken(replaced(GOOD, (place, table + place)), OBJECT, lambda case: case, ALWAYS) == {}


def test_a_model_whose_blocks_are_perturbed_as_the_docs_have_it_keeps_them_all(broken: Found) -> None:
    page = (Path(sgbench.__file__).parents[1] / "docs" / "checkpoints.md").read_text()
    assert ATTENDS in page
    assert indent(RUNS, " " * 8) in page
    assert broken(replaced(GOOD, *PERTURBED), OBJECT, lambda case: case, ALWAYS) == {}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_a_model_that_breaks_a_law_is_told_which_and_by_how_much(broken: Found, change: str) -> None:
    parts, law, told = CHANGES[change]
    (found,) = broken(replaced(GOOD, *parts), OBJECT, lambda case: case, ALWAYS).items()
    assert law in found[0]
    assert told in found[1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["velocity-from-noise", "epsilon", "edm"])
def test_a_model_that_declares_another_prediction_is_told(kind: Prediction) -> None:
    case = model_case("fashion-routing")
    samplers = {"epsilon": ("ddim",), "edm": ("edm-heun",)}.get(kind, ("euler",))
    family = replace(case.info.family, prediction=kind, samplers=samplers)
    verdicts = [judge_one(law, ModelCase(case.info._replace(family=family), case.network)) for law in OF_THE_CLOCK]
    told = [verdict.detail for verdict in verdicts if verdict.outcome == "broken"]
    assert told
    assert all("the prediction holds" in detail for detail in told)


@pytest.mark.slow
def test_a_model_whose_dropped_tokens_save_no_time_is_told(broken: Found) -> None:
    """Work that is not counted: several times more of it where tokens are dropped, on any machine."""
    waste = "for _ in range((500 if tokens is None else 2500) if len(x) == 8 else 0): torch.ones(100_000).exp()"
    (found,) = broken(replaced(GOOD, ends(f"{waste}\n        return made")), OBJECT).items()
    assert found[0] == TIME.name
    assert "with 4 of 16 tokens a call takes " in found[1]


def test_every_law_of_models_can_be_broken() -> None:
    parts = [part for _, part, _ in CHANGES.values()]
    left = {law.name for law in LAWS if not any(part in law.name for part in parts)}
    one_row = "one row of time and class serves all images"
    # The last of these have tests of their own. A user's network is always given a row for each image.
    assert left == {one_row, NAME, TIME.name, *(law.name for law in OF_THE_CLOCK)}
