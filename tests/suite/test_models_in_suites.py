"""Models written out in a suite: what may be asked of them, and what of them a cell's name is made of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sgbench import api
from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id, cell_of, cell_record, record_with_paths
from sgbench.guidance.settings import Guidance
from sgbench.models import catalogue
from sgbench.results.store import Store
from sgbench.samplers.settings import Sampler
from sgbench.suite.sweep import expand

Write = Callable[..., Path]
RANDOM = {"family": "tread-sit", "size": "S/4", "resolution": 64, "weights": "random"}
THROUGHPUT = {"metrics": [], "reference": None, "autoencoder": "none"}
NONE = [{"guidance": "none"}]


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        api.load_suite(path)
    text = str(caught.value)
    assert "\n" not in text
    return text


def cells(path: Path) -> list[Cell]:
    return expand(api.load_suite(path))


def file_model(path: Path, family: str = "tread-sit") -> str:
    return f"{family} S/4 64 weights='{path}'"


def cell(model: str, rule: str = "none", autoencoder: str = "none") -> Cell:
    settings = Guidance(rule, 1.0 if rule == "none" else 1.5, 0.0, 0.0)
    return Cell(model, settings, Sampler("euler", 2), 3, "balanced", "float32", autoencoder)


# What a suite may ask


def test_a_model_may_be_written_out_alone_in_a_list_and_in_the_sweep(suite_file: Write) -> None:
    text = "tread-sit S/4 64 weights=random"
    for written in (RANDOM, [RANDOM], text, [text]):
        assert [c.model for c in cells(suite_file(model=written, sweep=NONE, **THROUGHPUT))] == [text]
    both = [{"guidance": "none", "model": [RANDOM, {**RANDOM, "resolution": 128}]}]
    found = cells(suite_file(model="fashion-routing", sweep=both, **THROUGHPUT))
    assert [c.model for c in found] == [text, "tread-sit S/4 128 weights=random"]
    assert {c.autoencoder for c in found} == {"none"}


def test_metrics_of_random_weights_are_refused_with_the_reason(suite_file: Write) -> None:
    found = refused(suite_file(model=RANDOM, metrics=["fd"]))
    assert "tiny.yaml: metrics: tread-sit S/4 64 weights=random has random weights" in found
    assert "so quality metrics would be meaningless; write `metrics: []`, or name trained weights." in found


def test_a_reference_of_another_image_size_is_refused(suite_file: Write, tmp_path: Path) -> None:
    found = refused(suite_file(model={**RANDOM, "weights": str(tmp_path / "w.safetensors")}, sweep=NONE))
    assert "are 64 pixels wide, not 32 as in fashion-mnist" in found


def test_metrics_need_a_reference(suite_file: Write) -> None:
    assert "tiny.yaml: reference: fd needs a reference" in refused(suite_file(reference=None))


@pytest.mark.parametrize(
    ("family", "sampler", "kind", "right"),
    [
        ("tread-sit", "edm-heun", "velocity", "euler"),
        ("sprint", "ddim", "velocity", "euler"),
        ("sit", "ddim", "velocity-from-noise", "euler"),
        ("maskdit", "euler", "edm", "edm-heun"),
        ("tread-dit", "euler", "edm", "edm-heun"),
        ("dit", "euler", "epsilon", "ddim"),
        ("mdtv2", "edm-heun", "epsilon", "ddim"),
    ],
)
def test_a_sampler_of_another_prediction_is_refused(
    suite_file: Write, family: str, sampler: str, kind: str, right: str
) -> None:
    model = {**RANDOM, "family": family}
    wrong = suite_file(model=model, sampler={"name": sampler, "steps": 2}, sweep=NONE, **THROUGHPUT)
    found = refused(wrong)
    assert f"the sampler {sampler} does not support {model['family']}" in found
    assert f"which predicts {kind}; choose one of: {right}" in found
    good = suite_file(model=model, sampler={"name": right, "steps": 2}, sweep=NONE, **THROUGHPUT)
    assert len(cells(good)) == 1


def test_an_embedded_model_is_drawn_by_euler_only(suite_file: Write) -> None:
    assert "sampler edm-heun" in refused(suite_file(sampler={"name": "edm-heun", "steps": 2}))


def test_models_of_captions_need_prompts(suite_file: Write) -> None:
    sampler = {"name": "edm-heun", "steps": 2}
    for model in ({**RANDOM, "family": "microdit", "size": "XL/2"}, "microdit-512"):
        found = refused(suite_file(model=model, sampler=sampler, sweep=NONE, **THROUGHPUT))
        assert "is a text-to-image model, and the suite has no prompts; name a prompt set" in found
        asked = suite_file(model=model, sampler=sampler, sweep=NONE, prompts="shapes", **THROUGHPUT)
        assert [c.text_encoder for c in cells(asked)] == ["apple/DFN5B-CLIP-ViT-H-14-378"]


def test_models_of_classes_take_no_prompts(suite_file: Write) -> None:
    found = refused(suite_file(sweep=NONE, prompts="shapes"))
    assert "sweep[0]: fashion-tiny is class-conditional, and the suite has prompts" in found


def test_rules_that_a_model_cannot_serve_are_refused(suite_file: Write) -> None:
    dense = {**RANDOM, "family": "sit"}
    sparse = [{"guidance": "sg", "gamma_strong": 0, "gamma_weak": 0.5, "scale": 2}]
    path_drop = [{"guidance": "pdg", "scale": 2}]
    assert "cannot drop tokens; set the gammas to 0, or give the model a route." in refused(
        suite_file(model=dense, sweep=sparse, **THROUGHPUT)
    )
    assert "PDG drops the middle path, which tread-sit S/4 64 weights=random does not have" in refused(
        suite_file(model=RANDOM, sweep=path_drop, **THROUGHPUT)
    )
    assert "AG needs an auxiliary checkpoint" in refused(
        suite_file(model=RANDOM, sweep=[{"guidance": "ag", "scale": 2}], **THROUGHPUT)
    )
    assert len(cells(suite_file(model={**RANDOM, "family": "sprint"}, sweep=path_drop, **THROUGHPUT))) == 1
    with_auxiliary = {**RANDOM, "weights": "/main", "auxiliary": "/early"}
    assert len(cells(suite_file(model=with_auxiliary, sweep=[{"guidance": "ag", "scale": 2}], **THROUGHPUT))) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"wieghts": "random"}, "unknown key 'wieghts', did you mean 'weights'?"),
        ({"weights": None, "family": "tread"}, "there is no model family 'tread', did you mean"),
        ({"size": "XXL/2"}, "there is no size 'XXL/2'"),
        ({"resolution": 100}, "resolution 100 is not supported"),
        ({"route": "2-"}, "'2-' is not a route"),
        ({"route": "2-12"}, "route [2, 12] overlaps another or leaves blocks 0..11"),
        ({"family": "sprint", "route": "2-8"}, "SPRINT has no routes; remove route"),
    ],
    ids=str,
)
def test_a_written_out_model_that_means_nothing(suite_file: Write, change: dict[str, Any], said: str) -> None:
    found = refused(suite_file(model={**RANDOM, **change}, sweep=NONE, **THROUGHPUT))
    assert said in found
    assert "tiny" in found
    assert "model" in found


def test_a_quotation_that_is_not_closed_is_refused(suite_file: Write) -> None:
    refused(suite_file(model="tread-sit S/4 64 weights='/a", sweep=NONE, **THROUGHPUT))


@pytest.mark.slow
def test_a_forced_route_is_allowed_and_its_row_says_so(suite_file: Write, tmp_path: Path) -> None:
    sweep = [{"guidance": "none"}, {"guidance": "sg", "gamma_strong": 0, "gamma_weak": 0.5, "scale": 1.5}]
    models = [{**RANDOM, "family": "sit", "route": [[2, 8]]}, RANDOM]
    suite = api.load_suite(
        suite_file(
            model=models, sweep=sweep, samples=1, sampler={"name": "euler", "steps": 1}, labels="random", **THROUGHPUT
        )
    )
    api.run_suite(suite, tmp_path, device="cpu")
    api.score_suite(suite, tmp_path, device="cpu")
    rows = Store(tmp_path, "tiny").read_rows()
    assert rows["family"].tolist() == ["sit", "tread-sit"] * 2
    assert rows["trained_sparse"].tolist() == [False, True] * 2
    assert rows["dropped_tokens"].tolist() == ["no", "no", "not trained for it", "trained for it"]
    assert rows["gmacs_per_image"][2] < 2 * rows["gmacs_per_image"][0]


# Names of cells


def test_the_same_weights_in_two_places_are_one_cell(tmp_path: Path) -> None:
    first, second, other = (tmp_path / name for name in ("a.safetensors", "my weights.safetensors", "b.safetensors"))
    first.write_bytes(b"the same")
    second.write_bytes(b"the same")
    other.write_bytes(b"another")
    ids = [cell_id(cell(file_model(path))) for path in (first, second, other)]
    assert ids[0] == ids[1] != ids[2]
    random = cell_id(cell("tread-sit S/4 64 weights=random"))
    absent = cell_id(cell(file_model(tmp_path / "absent")))
    assert len({*ids, random, absent}) == 4


def test_weights_that_change_in_their_place_are_another_cell(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"before")
    before = cell_id(cell(file_model(path)))
    path.write_bytes(b"and after")
    assert cell_id(cell(file_model(path))) != before


def test_family_size_resolution_and_route_name_a_cell(tmp_path: Path) -> None:
    path = tmp_path / "w"
    path.write_bytes(b"weights")
    models = [
        file_model(path),
        file_model(path, "repa-sit"),
        f"tread-sit S/2 64 weights={path}",
        f"tread-sit S/4 128 weights={path}",
        f"tread-sit S/4 64 route=3-6 weights={path}",
    ]
    assert len({cell_id(cell(model)) for model in models}) == len(models)


def test_the_record_holds_digests_and_no_path(tmp_path: Path) -> None:
    path, early = tmp_path / "w", tmp_path / "early"
    path.write_bytes(b"weights")
    early.write_bytes(b"early weights")
    guided = cell(f"{file_model(path)} auxiliary='{early}'", "ag")
    record = cell_record(guided)
    assert str(tmp_path) not in json.dumps(record)
    digests = record["checkpoints"]
    assert isinstance(digests, dict)
    assert digests.keys() == {"main", "auxiliary", "autoencoder"}
    assert len(digests["main"]) == len(digests["auxiliary"]) == 64
    assert digests["main"] != digests["auxiliary"]
    assert digests["autoencoder"] == "none"
    assert cell_record(cell("tread-sit S/4 64 weights=random"))["checkpoints"] == {
        "main": "random",
        "autoencoder": "none",
    }


def test_the_auxiliary_checkpoint_matters_where_it_is_used_only(tmp_path: Path) -> None:
    path, *others = (tmp_path / name for name in ("w", "x", "y"))
    for number, file in enumerate((path, *others)):
        file.write_bytes(bytes(number + 1))
    models = [f"{file_model(path)} auxiliary={other}" for other in others]
    assert len({cell_id(cell(model, "ag")) for model in models}) == 2
    assert len({cell_id(cell(model, "cfg")) for model in models}) == 1


def test_the_autoencoder_names_a_cell_by_its_content(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder, content in zip(folders, (b"one", b"one", b"other"), strict=True):
        folder.mkdir()
        (folder / "diffusion_pytorch_model.safetensors").write_bytes(content)
    ids = [cell_id(cell("tread-sit S/4 64 weights=random", autoencoder=str(folder))) for folder in folders]
    assert ids[0] == ids[1] != ids[2]
    assert cell_id(cell("tread-sit S/4 64 weights=random")) not in ids


@pytest.mark.parametrize("rule", ["none", "cfg"])
def test_cell_json_is_read_back(rule: str, tmp_path: Path) -> None:
    path = tmp_path / "my weights.safetensors"
    path.write_bytes(b"weights")
    written = [
        cell("fashion-routing", rule, ""),
        cell("tread-sit S/4 64 weights=random", rule),
        cell("sit S/4 64 route=2-8 weights=random", rule, "stabilityai/sd-vae-ft-ema"),
        cell(file_model(path), rule, str(tmp_path)),
        cell("sprint-xl-256", rule),
    ]
    store = Store(tmp_path, "tiny")
    for one in written:
        assert cell_of(json.loads(json.dumps(record_with_paths(one)))) == one
        store.write_cell(one)
    assert sorted(store.known_cells()) == sorted(written)
    assert "where" not in record_with_paths(written[0])


def test_every_public_checkpoint_is_a_model_of_its_family() -> None:
    from sgbench.models.public import PUBLIC

    for name, public in PUBLIC.items():
        entry = catalogue.entry(name)
        assert (entry.family.name, entry.image_side) == (public.family, public.resolution)
        assert not entry.random
        assert not entry.in_pixels
        assert entry.main.path == public.path
