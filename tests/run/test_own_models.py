"""A user's model from its file to the report: images, costs, rows, and what reports know of it without its code."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sgbench import api
from sgbench.base.errors import UserError
from sgbench.base.registry import REGISTRIES
from sgbench.cost.macs import count_kept
from sgbench.models import catalogue
from sgbench.models.own import MODELS
from sgbench.networks.loading import load_network
from sgbench.results.store import Store
from sgbench.suite.schema import Suite
from sgbench.suite.sweep import expand
from tests.own_models import MODEL, write

pytestmark = [pytest.mark.usefixtures("own_code"), pytest.mark.slow]
Command = Callable[..., tuple[int, str, str]]
CPU = torch.device("cpu")
# The same of 32 x 32 pixels and 64 tokens.
CHANGES = {
    "(1, 8, 8)": "(1, 32, 32)",
    "tokens=16": "tokens=64",
    "(16, width)": "(64, width)",
    "(1, width, 2, stride=2)": "(1, width, 4, stride=4)",
    "(width, 1, 2, stride=2)": "(width, 1, 4, stride=4)",
    "(4, 4)": "(8, 8)",
}
LARGE = reduce(lambda text, change: text.replace(*change), CHANGES.items(), MODEL)


def images(results: Path, suite: Suite) -> list[np.ndarray[Any, Any]]:
    store = Store(results, suite.suite)
    shards = [store.read_shard(cell, 0) for cell in expand(suite)]
    return [shard.images for shard in shards if shard is not None]


def forget() -> None:
    """As a process that has not seen the file."""
    for registry in REGISTRIES:
        for name in list(registry.origins):
            del registry[name], registry.origins[name]
    catalogue.entry.cache_clear()


def test_images_depend_neither_on_the_batch_nor_on_how_many_are_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path)
    made = []
    for number, (batch, limit) in enumerate([(None, None), (48, None), (1, 7)]):
        suite = api.load_suite(path, limit=limit)
        api.run_suite(suite, tmp_path / str(number), device="cpu", batch=batch)
        made.append(images(tmp_path / str(number), suite))
    whole, other, few = made
    assert all(np.array_equal(one, two) for one, two in zip(whole, other, strict=True))
    assert all(np.array_equal(one[:7], two) for one, two in zip(whole, few, strict=True))
    assert len({one.tobytes() for one in whole}) == 3
    assert len(np.unique(whole[0], axis=0)) == 30


def test_costs_are_counted_when_it_runs_and_known_from_then_on(tmp_path: Path, sgbench: Command) -> None:
    suite, results = api.load_suite(write(tmp_path)), tmp_path / "results"
    before = api.make_plan(suite, results)
    assert [cell.gmacs_per_image for cell in before.cells] == [None] * 3
    assert (before.gmacs, before.uncounted, before.as_dict()["cells_counted_when_run"]) == (0, 3, 3)
    status, out, _ = sgbench("plan", tmp_path / "mine.yaml", "--results", results)
    assert status == 0
    assert out.count("counted when run") == 4
    assert "3 cells are counted when run and in none of these sums" in out
    api.run_suite(suite, results, device="cpu")
    network = load_network(catalogue.entry("mine weights=random"), "main", CPU)
    dense, half = (count_kept(network, kept).macs / 1e9 for kept in (16, 8))
    after = api.make_plan(suite, results)
    assert [cell.gmacs_per_image for cell in after.cells] == pytest.approx([2 * dense, 4 * dense, 2 * (dense + half)])
    assert after.uncounted == 0
    status, out, _ = sgbench("plan", tmp_path / "mine.yaml", "--results", results)
    assert "counted when run" not in out


def test_a_closed_form_is_planned_with_and_agrees(tmp_path: Path) -> None:
    forms = MODEL.replace("import ModelCard", "import Macs, ModelCard").replace(
        "trained_gamma=0.5,",
        "trained_gamma=0.5,\n        macs=lambda kept: Macs("
        # Patches in and out, time; of two blocks 12 n d^2 of products, 2 n^2 d of attention, 2 n d of norms.
        "2 * 64 * 16 + 16 + 2 * 12 * kept * 16**2, 2 * 2 * kept**2 * 16, 2 * 2 * kept * 16),",
    )
    suite, results = api.load_suite(write(tmp_path, forms)), tmp_path / "results"
    planned = [cell.gmacs_per_image for cell in api.make_plan(suite, results).cells]
    api.run_suite(suite, results, device="cpu")
    store = Store(results, "mine")
    costs = [store.read_record(cell, "cost") or {} for cell in expand(suite)]
    assert [cost["macs_per_image"] / 1e9 for cost in costs] == pytest.approx(planned, rel=1e-3)
    assert all(cost["closed_form_macs_per_image"] for cost in costs)


def test_trained_weights_are_scored_and_reported_without_the_code(tmp_path: Path, sgbench: Command) -> None:
    ran = tmp_path / "ran"
    text = f"{LARGE}\n\nwith open({str(ran)!r}, 'a') as ran:\n    ran.write('.')\n"
    model = {"custom": "mine.py:Model", "weights": "w.safetensors", "auxiliary": "early.safetensors", "iterations": 9}
    sweep = [{"guidance": "none"}, {"guidance": "ag", "scale": 2}]
    path = write(tmp_path, text, samples=20, model=model, sweep=sweep, reference="fashion-mnist", metrics=["fd"])
    for seed, name in enumerate(("w", "early")):
        write_weights(LARGE, seed, tmp_path / f"{name}.safetensors")
    results, reports = tmp_path / "results", tmp_path / "reports"
    done = api.bench_suite(api.load_suite(path), results, reports, device="cpu")
    assert done["run"]["images_made"] == 40
    rows = Store(results, "mine").read_rows()
    digest = MODELS.origin("mine").sha256[:12]
    assert list(rows["own"]) == [f"model mine {digest}"] * 2
    assert list(rows["family"]) == ["custom"] * 2
    assert rows["fd"].notna().all()
    page = (reports / "mine" / "table.md").read_text()
    assert f"The model mine does not come with sgbench: it is mine.py:Model, sha256 {digest}" in page
    assert ran.read_text() == "."

    forget()
    for command in (("report", path), ("doctor",)):
        status, out, err = sgbench(*command, "--results", results, "--reports", reports)
        assert status == 0, out + err
    status, out, _ = sgbench("compare", results / "mine", results / "mine")
    assert status == 0
    assert ran.read_text() == "."
    assert MODELS.origin("mine").closed
    path.with_name("mine.py").write_text(text + "# changed\n")
    status, _, err = sgbench("report", path, "--results", results, "--reports", reports)
    assert "the results hold nothing of mine.py:Model as the file is now" in err


def write_weights(text: str, seed: int, path: Path) -> None:
    found: dict[str, Any] = {"__name__": "mine"}
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        exec(text, found)
        save_file(found["Model"]().state_dict(), path)


def test_a_live_network_is_benchmarked_in_its_process(tmp_path: Path, sgbench: Command) -> None:
    found: dict[str, Any] = {"__name__": "mine"}
    exec(MODEL, found)
    suite, results, reports = api.load_suite(write(tmp_path)), tmp_path / "results", tmp_path / "reports"
    module = found["Model"]()
    done = api.bench_suite(suite, results, reports, device="cpu", model=module)
    assert done["run"]["images_made"] == 90
    assert api.bench_suite(suite, results, reports, device="cpu", model=module)["run"]["images_made"] == 0
    with torch.no_grad():
        module.places += 1
    assert api.bench_suite(suite, results, reports, device="cpu", model=module)["run"]["images_made"] == 90
    rows = Store(results, "mine").read_rows()
    assert len(rows["model"].unique()) == 2
    assert all(name.startswith("mine(live-") for name in rows["model"])
    assert rows["own"].str.startswith("model mine(live-").all()
    forget()
    assert len(Store(results, "mine").known_cells()) == 6


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("index = None if tokens is None", "index = None if True", "`tokens` saves no work"),
        ("return self.out(h.mT", "return self.out(torch.fft.fft2(h).real.mT", "fvcore cannot count aten::fft_fft2"),
        ("return self.out(h.mT", "return self.out(h[:, 1:].mT", "the model mine fails in .*mine.py, line"),
    ],
)
def test_a_model_that_will_not_do_ends_the_run_before_the_first_image(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    suite = api.load_suite(write(tmp_path, MODEL.replace(old, new)))
    with pytest.raises(UserError, match=said):
        api.run_suite(suite, tmp_path / "results", device="cpu")
    assert not list((tmp_path / "results").rglob("*.npy"))


# A network that knows the one image of its data, at every clock

ANALYTIC = """
import torch
from torch import nn
from sgbench import ModelCard
from sgbench.samplers.clocks import signal_levels

IMAGE = 0.5


class Model(nn.Module):
    @staticmethod
    def card(prediction):
        return ModelCard(name="analytic", shape=(1, 8, 8), tokens=4, classes=3, prediction=prediction)

    def __init__(self, prediction):
        super().__init__()
        self.prediction = prediction

    def forward(self, x, t, condition, tokens=None):
        t = t[:, None, None, None]
        if self.prediction == "velocity":
            return (x - IMAGE) / t
        if self.prediction == "velocity-from-noise":
            return (IMAGE - x) / (1 - t)
        if self.prediction == "epsilon":
            signal = torch.as_tensor(signal_levels(t.long().flatten().tolist())).float()[:, None, None, None]
            return (x - signal.sqrt() * IMAGE) / (1 - signal).sqrt()
        sigma = torch.exp(4 * t)
        total = sigma**2 + 0.25
        return (IMAGE - 0.25 / total * x * total.sqrt()) / (sigma / 2 / total.sqrt())
"""


@pytest.mark.parametrize(
    ("prediction", "sampler"),
    [("velocity", "euler"), ("velocity-from-noise", "heun"), ("epsilon", "ddim"), ("edm", "edm-heun")],
)
def test_every_prediction_runs_on_its_own_clock(tmp_path: Path, prediction: str, sampler: str) -> None:
    model = {"custom": "mine.py:Model", "weights": "none", "options": {"prediction": prediction}}
    settings = {"sampler": {"name": sampler, "steps": 4}, "sweep": [{"guidance": "none"}], "samples": 4}
    suite = api.load_suite(write(tmp_path, ANALYTIC, model=model, **settings))
    assert api.run_suite(suite, tmp_path / "results", device="cpu").failed == ()
    (made,) = images(tmp_path / "results", suite)
    assert np.abs(made.astype(int) - round(1.5 * 127.5)).max() <= 1


def test_latents_have_the_side_that_the_card_says(tmp_path: Path) -> None:
    text = MODEL.replace("(1, 8, 8)", "(16, 8, 8)").replace("classes=10", "classes=10, shrink=16")
    text = text.replace("nn.Conv2d(1,", "nn.Conv2d(16,").replace("(width, 1, 2", "(width, 16, 2")
    suite = api.load_suite(write(tmp_path, text, autoencoder="none", samples=2))
    (cell, *_) = expand(suite)
    assert catalogue.entry(cell.model).image_side == 128
    api.run_suite(suite, tmp_path / "results", device="cpu")
    assert images(tmp_path / "results", suite)[0].shape == (2, 8, 8, 3)


def test_a_model_of_captions_gets_an_embedding_for_each_prompt(tmp_path: Path) -> None:
    text = MODEL.replace("classes=10,\n        null=10,", 'caption=(5, 12),\n        text_encoder="none",')
    text = text.replace("nn.Embedding(11, width)", "nn.Linear(12, width)")
    text = text.replace("self.label(condition)", "self.label(condition.mean(dim=1))")
    suite = api.load_suite(write(tmp_path, text, prompts="shapes", samples=2))
    assert {cell.text_encoder for cell in expand(suite)} == {"none"}
    assert api.run_suite(suite, tmp_path / "results", device="cpu").failed == ()
    with pytest.raises(UserError, match="is a text-to-image model, and the suite has no prompts"):
        api.load_suite(write(tmp_path, text))
