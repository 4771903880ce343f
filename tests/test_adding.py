"""Rules, also with a new parameter or perturbation, samplers and metrics are one file each: all parts know them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import sgbench
from sgbench.base.discover import found
from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS
from sgbench.metrics.extractors import EXTRACTORS
from sgbench.samplers.catalogue import SAMPLERS

RULE = '''
"""ICG whose random class is also sparser, softened by a parameter of its own."""

from sgbench.guidance.branches import Branch, Parameter, Rule, Style
from sgbench.guidance.formulas import combine


def soften(predictions, step):
    softer = 1 + (step.scale - 1) * step.parameters["softness"]
    return combine(predictions["strong"], predictions["weak"], softer)


RULE = Rule(
    name="icg+sg",
    title="ICG+SG",
    source="this test",
    formula="v(r; gamma_weak) + w' (v(c) - v(r; gamma_weak))",
    strong=Branch(sparsity="strong"),
    weak=Branch(condition="random", sparsity="weak"),
    combine=soften,
    parameters=(Parameter("softness", "how much of the scale acts", 0, 1, default=0.5),),
    works=("sadat2025icg",),
    style=Style("#0072B2", "8", ":"),
    example={"gamma_strong": 0.2, "gamma_weak": 0.7},
)
'''
PERTURBED = '''
"""Away from a prediction in which image tokens see the mean of all values in some blocks."""

from __future__ import annotations

from dataclasses import dataclass

from sgbench.guidance.branches import Branch, Rule, Style
from sgbench.guidance.perturbation import Layers, Perturbation
from sgbench.guidance.rules.perturbed_attention import LAYERS, STRENGTH, WHEN


@dataclass(frozen=True)
class MeanValues(Perturbation):
    name = "mean"
    meaning = "mean values"

    def attention(self, query, key, value, bias):
        return value.mean(dim=2, keepdim=True).expand_as(query)

    def added_macs(self, block):
        return 0, -block.image_attention, 0


RULE = Rule(
    name="mean",
    title="Mean guidance",
    source="this test",
    formula="v(c) + s (v(c) - v[mean values](c))",
    strong=Branch(),
    perturbed=Branch(perturbation=MeanValues),
    parameters=(STRENGTH, LAYERS, WHEN),
    works=("ahn2024pag",),
    style=Style("#CC79A7", "8", ":"),
    example={"layers": Layers(range(12, 16))},
)
'''
SAMPLER = '''
"""The midpoint method for flow matching: the velocity of a step is that of its middle."""

import itertools

from sgbench.samplers.clocks import flow_times
from sgbench.samplers.settings import Moment, SamplerKind


def sample_midpoint(velocity, noise, times):
    x = noise
    for step, (now, following) in enumerate(itertools.pairwise(times)):
        middle = x + (following - now) / 2 * velocity(x, now, 2 * step)
        x = x + (following - now) * velocity(middle, (now + following) / 2, 2 * step + 1)
    return x


def moments(sampler):
    times = flow_times(sampler.steps, sampler.shift)
    levels = [t for now, following in itertools.pairwise(times) for t in (now, (now + following) / 2)]
    return tuple(Moment(t, 1 - t, t, number // 2) for number, t in enumerate(levels))


SAMPLER = SamplerKind(
    name="midpoint",
    title="The midpoint method",
    source="this test",
    clock="flow",
    takes=("shift",),
    moments=moments,
    solve=lambda sampler, velocity, noise, fresh: sample_midpoint(
        velocity, noise, flow_times(sampler.steps, sampler.shift)
    ),
    works=("liu2023rectified",),
)
'''
METRIC = '''
"""Effective number of images: the exponential of the entropy of their kernel matrix."""

from sgbench.metrics.metric import SetMetric


def vendi(features):
    "Vendi score, cosine kernel."
    import numpy as np

    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(unit @ unit.T / len(unit))
    values = values[values > 1e-12]
    return np.exp(-(values * np.log(values)).sum())


METRICS = (SetMetric("vendi", "Vendi score", "higher", "fashion-cnn", quality=False, value=vendi),)
'''
SUITE = """
suite: added
title: Rules, a sampler and a metric that were added
seed: 3
samples: 24
reference: fashion-mnist
metrics: [fd, vendi]
model: fashion-routing
sampler: {name: euler, steps: 1}
sweep:
- {guidance: cfg, scale: [1.5, 2]}
- {guidance: icg+sg, scale: 2, gamma_strong: 0, gamma_weak: 0.5, softness: [0.5, 1]}
- {guidance: mean, perturb_scale: 1.5, layers: 1-2, sampler: midpoint, steps: 2}
"""


def extended(folder: Path, files: dict[str, str]) -> Callable[..., str]:
    """A copy of the package with these files added; what runs Python with it in `folder` and returns stdout."""
    package = Path(shutil.copytree(Path(sgbench.__file__).parent, folder / "copy" / "sgbench"))
    for name, text in files.items():
        assert not (package / name).exists()
        (package / name).write_text(text)

    def python(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        environment = os.environ | {"PYTHONPATH": str(package.parent)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return python


@pytest.mark.slow
def test_a_rule_its_perturbation_a_sampler_and_a_metric_are_one_file_each(tmp_path: Path) -> None:
    added = {
        "guidance/rules/icg_sparse.py": RULE,
        "guidance/rules/mean_values.py": PERTURBED,
        "samplers/methods/midpoint.py": SAMPLER,
        "metrics/scores/vendi.py": METRIC,
    }
    run = partial(extended(tmp_path, added), "-m", "sgbench")
    (tmp_path / "suite.yaml").write_text(SUITE)
    assert "how much of the scale acts (from 0 to 1; 0.5 if left out)" in run("guidance", "show", "icg+sg")
    assert "mean values" in run("guidance", "show", "mean")
    cited = run("cite", "suite.yaml")
    assert all(work in cited for work in ("sadat2025icg", "ahn2024pag", "sampler midpoint"))
    plan = json.loads(run("plan", "suite.yaml", "--json"))
    reported = json.loads(run("bench", "suite.yaml", "--json").splitlines()[-1])
    assert reported["run"]["images_made"] == 5 * 24
    table = (tmp_path / "reports" / "added" / "table.md").read_text()
    assert all(text in table for text in ("ICG+SG", "softness 0.5", "Mean guidance", "midpoint", "Vendi score"))
    costs = [json.loads(path.read_text()) for path in (tmp_path / "results" / "added").rglob("cost.json")]
    assert len(costs) == 5
    assert all(cost["macs_per_image"] == cost["closed_form_macs_per_image"] for cost in costs)
    (perturbed,) = (cost for cost in costs if cost["branches"][-1]["disturbed"] == "mean")
    strong, weak = perturbed["branches"]
    # Two evaluations a step, each of both branches; the perturbed one does without some of its products.
    assert strong["calls_per_image"] == weak["calls_per_image"] == 4
    assert weak["macs"] < strong["macs"]
    (planned,) = (cell["gmacs_per_image"] for cell in plan["per_cell"] if "midpoint" in cell["what"])
    assert perturbed["macs_per_image"] == pytest.approx(planned * 1e9)


EXTRACTOR = '''
"""Pixels of a small copy of an image, weighted."""

from sgbench.metrics.instrument import Extractor, WeightFile, Weights


def load(paths, device):
    from safetensors.torch import load_file
    from torch.nn.functional import adaptive_avg_pool2d

    weights = load_file(paths[0])["weights"].to(device)

    def outputs(images):
        return {"features": adaptive_avg_pool2d(images.float(), 4).flatten(1) * weights}

    return outputs


FILE = WeightFile("pixels.safetensors", "https://example.org/pixels.safetensors", "MIT")
EXTRACTORS = (
    Extractor(
        "pixels",
        "weighted pixels",
        (Weights("pixels", "vendi", (FILE,)),),
        "4 x 4",
        0.0,
        ("tan2019efficientnet",),
        load=load,
        widths={"features": 48},
        batch=8,
    ),
)
'''


@pytest.mark.slow
def test_a_metric_with_an_extractor_of_its_own_is_two_files(tmp_path: Path) -> None:
    """Its weights are listed and verified; suites, references, costs, protocols and citations know it."""
    import torch
    from safetensors.torch import save_file

    package = Path(shutil.copytree(Path(sgbench.__file__).parent, tmp_path / "copy" / "sgbench"))
    (package / "metrics" / "extractors" / "pixels.py").write_text(EXTRACTOR)
    (package / "metrics" / "scores" / "vendi.py").write_text(METRIC.replace('"fashion-cnn"', '"pixels"'))
    suite = {"suite": "own", "title": "Own", "seed": 3, "samples": 24, "reference": "fashion-mnist"}
    sweep = [{"guidance": "cfg", "scale": 2}]
    suite |= {
        "metrics": ["fd", "vendi"],
        "model": "fashion-routing",
        "sampler": {"name": "euler", "steps": 1},
        "sweep": sweep,
    }
    (tmp_path / "own.yaml").write_text(json.dumps(suite))
    environment = os.environ | {"PYTHONPATH": str(package.parent), "SGBENCH_WEIGHTS": str(tmp_path / "weights")}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sgbench", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)

    refused = run("bench", "own.yaml")
    assert refused.returncode != 0
    assert "run `sgbench weights fetch pixels`" in refused.stderr
    (tmp_path / "weights").mkdir()
    save_file({"weights": torch.linspace(0.5, 1.5, 48)}, tmp_path / "weights" / "pixels.safetensors")
    assert "pixels: pixels.safetensors" in run("weights", "list").stdout
    assert "tan2019efficientnet" in run("cite", "own.yaml").stdout
    done = run("bench", "own.yaml", "--json")
    assert done.returncode == 0, done.stderr
    scores = json.loads(next(tmp_path.glob("results/own/cells/*/scores.json")).read_text())["24"]["vendi"]
    assert scores["value"] > 1
    assert (scores["protocol"]["extractor"], scores["protocol"]["inputs"]) == ("pixels", "4 x 4")
    assert list(tmp_path.glob("results/own/cells/*/features/pixels-*"))


def test_no_two_files_define_the_same_name() -> None:
    """The second would take the place of the first."""
    assert len(list(found("sgbench.guidance.rules", "RULE"))) == len(RULES)
    assert len(list(found("sgbench.samplers.methods", "SAMPLER"))) == len(SAMPLERS)
    assert sum(map(len, found("sgbench.metrics.scores", "METRICS"))) == len(METRICS)
    assert sum(map(len, found("sgbench.metrics.extractors", "EXTRACTORS"))) == len(EXTRACTORS)
