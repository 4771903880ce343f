"""Our families at any size in suites: planned, held against weights and autoencoder, run; and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from sgbench import api
from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id, cell_record
from sgbench.models import catalogue
from sgbench.models.families import FAMILIES
from sgbench.models.spec import from_fields
from sgbench.results.store import Store
from sgbench.suite.sweep import expand
from tests.own_sizes import DATA, SHAPED, recorded_configs, sizes, weights

Write = Callable[..., Path]
Command = Callable[..., tuple[int, str, str]]
THROUGHPUT = {"metrics": [], "reference": None, "autoencoder": "none"}
NONE = [{"guidance": "none"}]
TREAD = {
    **{"family": "tread-sit", "depth": 4, "width": 64, "heads": 4, "patch": 2, "route": "1-2"},
    **{"classes": 7, "channels": 16, "latent_side": 8, "weights": "random"},
}
CLASSES = [name for name in SHAPED if not FAMILIES[name].text]


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        expand(api.load_suite(path))
    text = str(caught.value)
    assert "\n" not in text
    return text


def suite(suite_file: Write, model: object, family: str = "tread-sit", **changes: Any) -> Path:
    sampler = {"name": FAMILIES[family].samplers[0], "steps": 2}
    prompts = {"prompts": "shapes", "text_encoder": "none"} if FAMILIES[family].text else {}
    if not FAMILIES[family].text_encoder:
        prompts.pop("text_encoder", None)
    settings = {"model": model, "sampler": sampler, "sweep": NONE, "samples": 3, **THROUGHPUT, **prompts}
    return suite_file(**{**settings, **changes})


def saved(fields: dict[str, Any], path: Path) -> dict[str, Any]:
    """The same model with weights in a file of its sizes."""
    random = {**fields, "weights": "random"}
    save_file(weights(catalogue.entry(from_fields(random, "model").text()).architecture), path)
    return {**fields, "weights": str(path)}


def benchmarked(path: Path, results: Path, side: int) -> None:
    """Plan, run and score a suite; images are previews of latents where there is no decoder."""
    loaded = api.load_suite(path)
    (planned,) = expand(loaded)
    assert len(api.make_plan(loaded, results).cells) == 1
    told = api.bench_suite(loaded, results, results / "reports", device="cpu")
    assert told["run"]["images_made"] == loaded.samples
    store = Store(results, loaded.suite)
    assert store.known_cells() == [planned]
    (row,) = store.read_rows().to_dict("records")
    record = catalogue.entry(planned.model).architecture
    assert record.input_size == side
    cost = store.read_record(planned, "cost")
    assert cost is not None
    assert cost["macs_per_image"] == pytest.approx(cost["closed_form_macs_per_image"], rel=1e-3)
    assert row["model"] == planned.model


@pytest.mark.slow
@pytest.mark.parametrize("family", CLASSES)
def test_weights_of_any_size_are_benchmarked(family: str, suite_file: Write, tmp_path: Path) -> None:
    model = saved(sizes(family), tmp_path / "w.safetensors")
    benchmarked(suite(suite_file, model, family), tmp_path / "results", DATA["latent_side"])


@pytest.mark.slow
@pytest.mark.parametrize("family", recorded_configs())
def test_weights_of_a_published_config_are_benchmarked(family: str, suite_file: Write, tmp_path: Path) -> None:
    config = recorded_configs()[family][0]
    (tmp_path / "config.json").write_text(json.dumps(config))
    fields = {"family": family, "config": str(tmp_path / "config.json")}
    model = saved(fields, tmp_path / "w.safetensors") if not FAMILIES[family].text else {**fields, "weights": "random"}
    benchmarked(suite(suite_file, model, family), tmp_path / "results", 8)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_planned_at_sizes_of_its_own(family: str, suite_file: Write, tmp_path: Path) -> None:
    (cell,) = expand(api.load_suite(suite(suite_file, {**sizes(family), "weights": "random"}, family)))
    record = catalogue.entry(cell.model).architecture
    assert record.sample_shape == (DATA["channels"], DATA["latent_side"], DATA["latent_side"])
    assert catalogue.entry(cell.model).image_side == 8 * DATA["latent_side"]
    assert len(api.make_plan(api.load_suite(suite(suite_file, cell.model, family)), tmp_path).cells) == 1


def test_a_size_of_its_own_is_part_of_the_cell() -> None:
    def named(**changes: Any) -> str:
        text = from_fields({**TREAD, **changes}, "model").text()
        return cell_id(Cell(text, *cell_settings()))

    changes = [{}, {"depth": 5}, {"width": 68}, {"heads": 2}, {"patch": 1}, {"classes": 8}, {"channels": 4}]
    changes += [{"latent_side": 16}, {"resolution": 128}, {"route": "1-1"}]
    assert len({named(**change) for change in changes}) == len(changes)


def cell_settings() -> tuple[Any, ...]:
    from sgbench.guidance.settings import Guidance
    from sgbench.samplers.settings import Sampler

    return Guidance("none"), Sampler("euler", 2), 3, "balanced", "float32", "none"


def test_models_written_out_before_keep_their_names() -> None:
    """Recorded before written-out models had sizes of their own."""
    names = {
        "tread-sit XL/2 256 weights=random": "tread-sit XL/2 256 weights=random",
        "sit S/4 64 route=2-8 weights=/w.pt": "sit S/4 64 route=2-8",
        "prx 512 weights=random": "prx 512 weights=random",
    }
    for name, identity in names.items():
        assert cell_record(Cell(name, *cell_settings()))["model"] == identity
    random = Cell("tread-sit S/4 64 weights=random", *cell_settings())
    assert cell_id(random) == "9d3bce5ea604730a"


def test_the_side_of_an_image_follows_from_the_latents_and_their_autoencoder() -> None:
    def side(**changes: Any) -> int:
        return catalogue.entry(from_fields({**TREAD, **changes}, "model").text()).image_side

    assert side() == 64
    assert side(resolution=128) == 128
    sized = {key: TREAD[key] for key in ("family", "weights")} | {"size": "S/2"}
    entry = catalogue.entry(from_fields({**sized, "latent_side": 16, "resolution": 256}, "model").text())
    assert (entry.image_side, entry.architecture.input_size) == (256, 16)


def test_all_channels_are_guided_where_latents_have_other_than_four() -> None:
    dit = {"family": "dit", "size": "S/2", "weights": "random"}
    guided = [
        catalogue.entry(from_fields({**dit, **change}, "model").text()).family.guided_channels
        for change in ({}, {"channels": 4}, {"channels": 16})
    ]
    assert guided == [3, 3, None]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"width": 66}, "width 66 is not a multiple of heads 4"),
        ({"width": 6, "heads": 3}, "width 6 is not a multiple of 4, which fixed positions need"),
        ({"latent_side": 9}, "latent_side 9 is not a multiple of patch 2"),
        ({"resolution": 100}, "resolution 100 is not a multiple of the side of its latents, 8"),
        ({"depth": 0}, "depth 0 is not a size"),
        ({"depth": 2.5}, "depth 2.5 is not a size"),
        ({"classes": -1}, "classes -1 is not a size"),
        ({"channels": True}, "channels True is not a size"),
        ({"heads": None}, "a model with a depth of its own needs heads (add `heads: ...`)"),
        ({"size": "S/2"}, "both size and depth are given (write `size: XL/2`, or depth, width, heads and patch, or"),
        ({"config": {}}, "both config and depth are given (leave depth out: the config says it)"),
        ({"route": None}, "from block 2 to the fourth from the end, needs depth 6, not 4: give a route"),
        ({"route": "2-4"}, "route [2, 4] overlaps another or leaves blocks 0..3"),
        ({"family": "prx", "classes": None, "weights": "/p"}, "a pipeline has no depth of its own"),
        ({"family": "prx"}, "the family prx takes no classes"),
        ({"family": "microdit"}, "the family microdit takes no depth"),
        ({"family": "mdtv2", "route": None, "depth": 7}, "depth 7 less decoder_depth 4 must be an even number"),
        ({"family": "sprint", "route": None}, "depth 4 leaves no middle between 2 blocks at either end"),
        ({"family": "sprint", "route": None, "depth": 6, "width": 24}, "needs a head width that is a multiple of 4"),
        ({"widht": 3}, "unknown key 'widht', did you mean 'width'?"),
    ],
    ids=str,
)
def test_sizes_that_make_no_model(suite_file: Write, change: dict[str, Any], said: str) -> None:
    found = refused(suite(suite_file, {**TREAD, **change}))
    assert said in found
    assert "tiny.yaml" in found
    assert "model" in found


def test_size_and_config_are_two_ways(suite_file: Write) -> None:
    model = {"family": "tread-sit", "size": "S/2", "config": "c.json", "weights": "random"}
    assert "both config and size are given (leave size out: the config says it)" in refused(suite(suite_file, model))
    absent = {"family": "tread-sit", "config": "/no/such.json", "weights": "random"}
    assert "/no/such.json: there is no such config file" in refused(suite(suite_file, absent))
    pipeline = {"family": "prx", "config": "c.json", "weights": "random"}
    assert "a pipeline has no config of its own" in refused(suite(suite_file, pipeline, "prx"))


# Weights and autoencoder on this machine


def test_weights_of_another_size_are_refused_when_the_suite_is_read(suite_file: Write, tmp_path: Path) -> None:
    model = saved(TREAD, tmp_path / "w.safetensors")
    assert len(expand(api.load_suite(suite(suite_file, model)))) == 1
    told = {
        "classes": (9, "y_embedder.embedding_table.weight is [8, 64], not [10, 64]: classes is 7, not 9"),
        "channels": (4, "x_embedder.proj.weight is [64, 16, 2, 2], not [64, 4, 2, 2]: channels is 16, not 4"),
        "depth": (5, "there are 4 blocks: depth is 4, not 5"),
        "width": (128, "t_embedder.mlp.2.bias is [64], not [128]: width is 64, not 128"),
        "latent_side": (16, "pos_embed is [1, 16, 64], not [1, 64, 64]: latent_side is 8, not 16"),
    }
    for key, (value, sentence) in told.items():
        found = refused(suite(suite_file, {**model, key: value}))
        assert "tiny.yaml: model: " in found
        assert f"{tmp_path / 'w.safetensors'} does not fit: {sentence}; write `{key}: {TREAD[key]}`." in found
    main = {**model, "auxiliary": str(tmp_path / "early.safetensors")}
    saved({**TREAD, "classes": 3}, tmp_path / "early.safetensors")
    assert "early.safetensors does not fit: y_embedder" in refused(suite(suite_file, main))


def test_weights_of_another_letter_are_refused(suite_file: Write, tmp_path: Path) -> None:
    model = saved({"family": "sit", "size": "S/4", "resolution": 64}, tmp_path / "w.safetensors")
    found = refused(suite(suite_file, {**model, "size": "S/2"}, "sit"))
    assert "patch is 4, not 2; write another size, or depth, width, heads and patch in its place." in found
    found = refused(suite(suite_file, {**model, "resolution": 128}, "sit"))
    assert "latent_side is 8, not 16; write `resolution: 64`, or `latent_side: 8`." in found
    learned = saved({"family": "dit", "size": "S/4", "resolution": 64}, tmp_path / "learned.safetensors")
    found = refused(suite(suite_file, {**learned, "family": "tread-sit"}))
    assert "learn_sigma is true, not false; write a config with `learn_sigma: true`." in found


def autoencoder(folder: Path, channels: int, stages: int) -> str:
    """What of an autoencoder is looked at before it is loaded."""
    folder.mkdir()
    sizes_of = {"latent_channels": channels, "block_out_channels": [8] * stages}
    (folder / "config.json").write_text(json.dumps(sizes_of))
    (folder / "diffusion_pytorch_model.safetensors").write_bytes(b"")
    return str(folder)


def test_an_autoencoder_of_other_latents_is_refused(suite_file: Write, tmp_path: Path) -> None:
    def asked(model: dict[str, Any], decoder: str | None) -> Path:
        return suite(suite_file, model, autoencoder=decoder)

    fits = autoencoder(tmp_path / "fits", 16, 4)
    assert len(expand(api.load_suite(asked(TREAD, fits)))) == 1
    found = refused(asked(TREAD, autoencoder(tmp_path / "four", 4, 4)))
    assert "tiny.yaml: autoencoder: the latents of tread-sit 64 depth=4" in found
    assert "have 16 channels, and those of" in found
    assert "have 4; name the autoencoder that the model was trained with" in found
    assert "have 16 channels, and those of stabilityai/sd-vae-ft-ema have 4" in refused(asked(TREAD, None))
    deeper = autoencoder(tmp_path / "deeper", 16, 5)
    found = refused(asked(TREAD, deeper))
    assert "makes images of 128 pixels of latents of 8, and the resolution of" in found
    assert "write `resolution: 128` and `latent_side: 8`" in found
    assert len(expand(api.load_suite(asked({**TREAD, "resolution": 128}, deeper)))) == 1


# Verbs


def test_verbs_take_sizes_of_their_own(sgbench: Command, suite_file: Write) -> None:
    text = from_fields(TREAD, "model").text()
    status, out, _ = sgbench("models", "info", text, "--json")
    assert status == 0
    told = json.loads(out.splitlines()[-1])
    assert (told["image"], told["tokens"], told["sample"]) == ("64 x 64", 16, "16 x 8 x 8")
    status, out, _ = sgbench("plan", str(suite(suite_file, TREAD)), "--json")
    assert status == 0
    assert json.loads(out.splitlines()[-1])["cells"] == 1


@pytest.mark.slow
def test_flops_take_a_written_out_model(sgbench: Command) -> None:
    status, out, _ = sgbench("flops", from_fields(TREAD, "model").text(), "--json")
    assert status == 0
    card = json.loads(out.splitlines()[-1])
    assert (card["size"], card["resolution"], card["routes"]) == ("depth=4 width=64 heads=4 patch=2", 64, [[1, 2]])
    (call,) = card["per_call"]
    assert call["fvcore"]["macs"] == pytest.approx(call["macs"], rel=1e-3)
