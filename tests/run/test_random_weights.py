"""Suites for work on throughput: random weights, real files of weights, no autoencoder, no metrics."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import save_file

from sgbench import api
from sgbench.cells.closed_form import call_macs
from sgbench.models import catalogue
from sgbench.models.families import FAMILIES
from sgbench.networks.denoiser import build
from sgbench.results.store import Store
from sgbench.samplers.catalogue import SAMPLERS
from sgbench.suite.sweep import expand
from tests.stored import stored_images

pytestmark = pytest.mark.slow

STEPS, SAMPLES = 2, 3
# Four tokens of four latents each: the smallest grid on which a share of tokens can be dropped.
SIZE = {"size": "S/4", "resolution": 64}
NONE_CFG = [{"guidance": "none"}, {"guidance": "cfg", "scale": 1.5}]
SG = [{"guidance": "sg", "gamma_strong": 0, "gamma_weak": 0.5, "scale": 1.5}]
CFG_SG = NONE_CFG[1:] + SG
PDG = [{"guidance": "pdg", "scale": 1.5}]
# Sampler, model and sweep; then the gammas of the calls of each cell, and what its row says of dropped tokens.
SUITES: dict[str, tuple[str, dict[str, Any], list[dict[str, Any]], list[tuple[tuple[float, ...], str]]]] = {
    "tread-sit": (
        "euler",
        {"family": "tread-sit"},
        NONE_CFG + SG,
        [((0.0,), "no"), ((0.0, 0.0), "no"), ((0.0, 0.5), "trained for it")],
    ),
    "sprint": (
        "euler",
        {"family": "sprint"},
        NONE_CFG + SG + PDG,
        [((0.0,), "no"), ((0.0, 0.0), "no"), ((0.0, 0.5), "trained for it"), ((0.0, 1.0), "trained for it")],
    ),
    "maskdit": (
        "edm-heun",
        {"family": "maskdit"},
        NONE_CFG + SG,
        [((0.0,), "no"), ((0.0, 0.0), "no"), ((0.0, 0.5), "trained for it")],
    ),
    "dit": (
        "ddim",
        {"family": "dit", "route": "2-8"},
        NONE_CFG + SG,
        [((0.0,), "no"), ((0.0, 0.0), "no"), ((0.0, 0.5), "not trained for it")],
    ),
}
Command = Callable[..., tuple[int, str, str]]


def suite_text(model: dict[str, Any], sampler: str, sweep: list[dict[str, Any]]) -> str:
    content = {
        "suite": "throughput",
        "title": "Throughput only",
        "seed": 3,
        "samples": SAMPLES,
        "metrics": [],
        "autoencoder": "none",
        "model": {**SIZE, **model},
        "sampler": {"name": sampler, "steps": STEPS},
        "sweep": sweep,
    }
    return yaml.safe_dump(content, sort_keys=False)


def run_score_report(path: Path, folder: Path) -> tuple[pd.DataFrame, str, list[np.ndarray]]:
    """Rows as `score` writes them, table.md, and the images of each cell."""
    suite = api.load_suite(path)
    done = api.run_suite(suite, folder / "results", device="cpu")
    assert (done.images_made, done.images_kept) == (SAMPLES * done.cells, 0)
    api.score_suite(suite, folder / "results", device="cpu")
    written = api.report_suite(suite, folder / "results", folder / "reports")
    assert written.page == folder / "reports" / "throughput" / "index.html"
    store = Store(folder / "results", suite.suite)
    images = [stored_images(store, cell, SAMPLES) for cell in expand(suite)]
    again = api.run_suite(suite, folder / "results", device="cpu")
    assert (again.images_made, again.images_kept) == (0, SAMPLES * done.cells)
    table = written.page.with_name("table.md").read_text()
    return store.read_rows(), table, [part for part in images if part is not None]


@pytest.mark.full
@pytest.mark.parametrize("name", list(SUITES))
def test_random_weights_from_suite_to_report(name: str, tmp_path: Path) -> None:
    sampler, model, sweep, expected = SUITES[name]
    path = tmp_path / "suite.yaml"
    path.write_text(suite_text({**model, "weights": "random"}, sampler, sweep))
    rows, table, images = run_score_report(path, tmp_path)
    assert len(rows) == len(expected)
    assert set(rows["family"]) == {name}
    assert set(rows["weights"]) == set(rows["checkpoint_sha256"]) == {"random"}
    assert set(rows["samples"]) == {SAMPLES}
    assert set(rows["autoencoder_sha256"]) == {"none"}
    assert not {"fd", "precision", "recall", "label_agreement"} & set(rows.columns)
    architecture = catalogue.entry(rows["model"][0]).architecture
    evaluations = SAMPLERS[sampler].evaluations(STEPS)
    assert rows["dropped_tokens"].tolist() == [dropped for _, dropped in expected]
    for row, (gammas, _) in zip(rows.to_dict("records"), expected, strict=True):
        counts = [call_macs(architecture, gamma) for gamma in gammas]
        for prefix, convention in (("", "macs"), ("paper_", "paper")):
            whole = evaluations * sum(getattr(one, convention) for one in counts) / 1e9
            assert row[f"{prefix}gmacs_per_image"] == pytest.approx(whole, rel=1e-9)
        for column in ("seconds_per_image", "seconds_q25", "seconds_q75", "images_per_second"):
            assert math.isfinite(row[column])
            assert row[column] > 0
        assert row["decode_seconds_per_image"] >= 0
    assert [part.shape for part in images] == [(SAMPLES, 8, 8, 3)] * len(expected)
    assert "No quality was measured" in table
    assert "Weights are random" in table
    plain = pd.read_csv(tmp_path / "reports" / "throughput" / "table.csv", dtype={"cell": str})
    assert plain["cell"].tolist() == rows["cell"].tolist()


@pytest.fixture
def fresh_catalogue() -> Iterator[None]:
    """Entries remember architectures, which a test replaces."""
    catalogue.entry.cache_clear()
    yield
    catalogue.entry.cache_clear()


@pytest.mark.usefixtures("fresh_catalogue")
def test_a_described_text_model_runs_without_encoder_and_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TR-DiT from suite to report, at a size that a test can afford; the count of fvcore is checked while it runs."""
    described = FAMILIES["tr-dit"]
    sizes = {"hidden_size": 32, "num_heads": 2, "depth": 4, "mlp_width": 40, "caption_channels": 8, "caption_tokens": 5}
    small = described.from_config(
        {**sizes, "input_size": 8, "patch_size": 2, "in_channels": 4, "text_depth": 2, "routes": [[1, 2]]}
        | {"trained_gamma": 0.5}
    )
    monkeypatch.setitem(FAMILIES, "tr-dit", replace(described, sized=lambda request: small))
    content = yaml.safe_load(suite_text({"family": "tr-dit", "size": "XL/2", "weights": "random"}, "euler", CFG_SG))
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump({**content, "prompts": "shapes", "text_encoder": "none"}, sort_keys=False))
    rows, table, images = run_score_report(path, tmp_path)
    assert rows["dropped_tokens"].tolist() == ["no", "trained for it"]
    costs = [STEPS * sum(call_macs(small, gamma).macs for gamma in gammas) / 1e9 for gammas in ((0, 0), (0, 0.5))]
    assert rows["gmacs_per_image"].tolist() == pytest.approx(costs)
    assert [part.shape for part in images] == [(SAMPLES, 8, 8, 3)] * 2
    assert not np.array_equal(*images)
    assert "Weights are random" in table


def test_a_report_of_random_weights_through_the_commands(sgbench: Command, tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(suite_text({"family": "tread-sit", "weights": "random"}, "euler", SG))
    folders = ("--results", tmp_path / "results", "--reports", tmp_path / "reports")
    status, out, _ = sgbench("bench", path, *folders, "--json")
    assert status == 0
    document = json.loads(out.splitlines()[-1])
    assert document["run"]["images_made"] == SAMPLES
    assert document["report"]["cells"] == 1
    table = Path(document["report"]["page"]).with_name("table.md").read_text()
    assert any("No quality was measured" in sentence for sentence in document["report"]["sentences"])
    status, out, _ = sgbench("plan", path, "--results", tmp_path / "results")
    assert status == 0
    assert "1 cells, 3 images (3 kept)" in out
    # What there is nothing to say of stays empty.
    assert "nan" not in table


# Real files of weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A network of size S in which every parameter matters, as its state dict, in bfloat16 to be small."""
    made = build(catalogue.entry("tread-sit S/4 64 weights=random").architecture)
    for number, parameter in enumerate(made.parameters()):
        parameter.data.normal_(std=0.05, generator=torch.Generator().manual_seed(number))
    path = tmp_path_factory.mktemp("weights") / "my weights.safetensors"
    save_file({name: tensor.bfloat16() for name, tensor in made.state_dict().items()}, path)
    yield path
    path.unlink()


def test_a_file_of_weights_is_named_by_its_digest_in_every_row(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(suite_text({"family": "tread-sit", "weights": str(weights)}, "euler", NONE_CFG + SG))
    rows, table, images = run_score_report(path, tmp_path)
    assert set(rows["checkpoint_sha256"]) == {hashlib.sha256(weights.read_bytes()).hexdigest()}
    assert set(rows["weights"]) == {"trained"}
    assert "No quality was measured" in table
    assert "random" not in table
    assert len({part.tobytes() for part in images}) == 3
    first = images[0]
    # The same file elsewhere is the same cells: nothing is left to do.
    moved = tmp_path / "moved.safetensors"
    moved.symlink_to(weights)
    path.write_text(suite_text({"family": "tread-sit", "weights": str(moved)}, "euler", NONE_CFG + SG))
    suite = api.load_suite(path)
    assert api.run_suite(suite, tmp_path / "results", device="cpu").images_made == 0
    again = stored_images(Store(tmp_path / "results", suite.suite), expand(suite)[0], SAMPLES)
    assert np.array_equal(again, first)


def refused(sgbench: Command, tmp_path: Path, family: str, weights: Path, **more: str) -> str:
    path = tmp_path / "suite.yaml"
    path.write_text(suite_text({"family": family, "weights": str(weights), **more}, "euler", [{"guidance": "none"}]))
    status, out, err = sgbench("run", path, "--results", tmp_path / "results", "--device", "cpu")
    assert status == 1
    assert out == ""
    assert "Traceback" not in err
    lines = [line for line in err.splitlines() if line.startswith("sgbench: ")]
    assert len(lines) == 1
    assert err.splitlines()[-1] == lines[0]
    assert not list((tmp_path / "results").rglob("*.npy"))
    return lines[0]


def test_weights_of_another_family_are_one_sentence(sgbench: Command, weights: Path, tmp_path: Path) -> None:
    found = refused(sgbench, tmp_path, "sprint", weights)
    assert "is of tread-dit or tread-sit or dit or sit, not of sprint; name the family that the weights are of" in found
    assert str(weights) in found


def test_a_cut_file_of_weights_is_one_sentence(sgbench: Command, weights: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.safetensors"
    with weights.open("rb") as stream:
        cut.write_bytes(stream.read(200_000))
    found = refused(sgbench, tmp_path, "tread-sit", cut)
    assert f"{cut}: the file is damaged or no checkpoint" in found


def test_weights_of_another_digest_are_one_sentence(sgbench: Command, weights: Path, tmp_path: Path) -> None:
    found = refused(sgbench, tmp_path, "tread-sit", weights, sha256="0" * 64)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert f"{weights}: the file has sha256 {digest[:12]}..., and the suite asks for 000000000000..." in found


def test_a_file_of_weights_that_is_not_there_is_one_sentence(sgbench: Command, tmp_path: Path) -> None:
    found = refused(sgbench, tmp_path, "tread-sit", tmp_path / "absent.safetensors")
    assert "the weight file absent.safetensors is missing" in found
