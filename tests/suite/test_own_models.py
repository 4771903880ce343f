"""A suite's model from a user's own file: its name, its identity, and one sentence for whatever is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sgbench import api
from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id, cell_record
from sgbench.models import catalogue
from sgbench.models.own import MODELS
from sgbench.suite.sweep import expand
from tests.own_models import MODEL, line_of, write

pytestmark = pytest.mark.usefixtures("own_code")
CARD = MODEL[MODEL.index("    card = ") : MODEL.index("    def __init__")]


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        api.load_suite(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def cells(path: Path) -> list[Cell]:
    return expand(api.load_suite(path))


def given(**changes: Any) -> dict[str, Any]:
    return {"custom": "mine.py:Model", "weights": "random"} | changes


def test_the_card_is_what_suites_and_plans_know(tmp_path: Path) -> None:
    (cell, *_) = cells(write(tmp_path))
    entry = catalogue.entry(cell.model)
    assert (entry.name, entry.own, entry.family.name) == ("mine weights=random", "mine", "custom")
    assert (entry.architecture.sample_shape, entry.architecture.grid_tokens) == ((1, 8, 8), 16)
    assert (entry.classes, entry.architecture.null_label, entry.random, entry.trained_sparse) == (10, 10, True, True)
    assert (entry.image_side, entry.image_channels, cell.autoencoder) == (8, 1, "")
    assert "euler" in entry.family.samplers


def test_options_are_part_of_the_name_in_one_order(tmp_path: Path) -> None:
    written = [given(options={"width": 32, "depth": 1}), given(options={"depth": 1, "width": 32})]
    assert {cell.model for cell in cells(write(tmp_path, model=written))} == {"mine(depth=1,width=32) weights=random"}


def test_entries_of_the_sweep_name_models_of_their_own(tmp_path: Path) -> None:
    sweep = [{"guidance": "none", "model": ["fashion-routing", given(options={"depth": 1})]}]
    names = [cell.model for cell in cells(write(tmp_path, sweep=sweep))]
    assert names == ["fashion-routing", "mine(depth=1) weights=random"]


def test_code_options_and_weights_are_in_the_id_and_paths_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first(folder: str, text: str = MODEL, weights: bytes = b"w", **options: int) -> Cell:
        # As a process of its own: a name belongs to one file.
        MODELS.drop_brought()
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        (place / "w.safetensors").write_bytes(weights)
        return cells(write(place, text, model=given(weights="w.safetensors", options=options)))[0]

    ids = {
        "as it was": cell_id(first("one")),
        "other code": cell_id(first("two", MODEL + "# changed\n")),
        "other weights": cell_id(first("three", weights=b"x")),
        "other options": cell_id(first("four", depth=1)),
    }
    assert len(set(ids.values())) == len(ids)
    assert cell_id(first("five")) == ids["as it was"]
    assert str(tmp_path) not in str(cell_record(first("five")))
    # Weights are named like those of other models: relative to the working directory, where they are below it.
    monkeypatch.chdir(tmp_path)
    assert first("five").model == "mine weights=five/w.safetensors"


def test_what_stands_beside_weights_is_read_like_that_of_other_models(tmp_path: Path) -> None:
    (tmp_path / "early.safetensors").write_bytes(b"")
    model = given(weights="hf://me/mine/w.safetensors", auxiliary="early.safetensors", iterations=5)
    (cell, *_) = cells(write(tmp_path, model=model))
    entry = catalogue.entry(cell.model)
    assert (entry.main.source, entry.iterations) == ("hf://me/mine/w.safetensors", 5)
    assert entry.auxiliary is not None
    assert entry.auxiliary.path == tmp_path / "early.safetensors"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"custom": "other.py:Model"}, "there is no file"),
        ({"custom": "mine.py:Mode"}, "has no object 'Mode', did you mean 'Model'?"),
        ({"custom": "mine.py:torch"}, "torch is an object of class module, not a class of modules"),
        ({"custom": "mine.py:ModelCard"}, "ModelCard is the class ModelCard, not a class of modules"),
        ({"custom": "https://example.org/mine.py:Model"}, "code is never run from an address"),
        ({"custom": "hf://me/mine.py:Model"}, "code is never run from an address"),
        ({"custom": "me/mine"}, "no installed package offers a model 'me/mine'"),
        ({"custom": 3}, "`custom` names no class"),
        ({"weights": None}, "a model needs weights"),
        ({"auxiliary": "random"}, "an auxiliary checkpoint is a file"),
        ({"sha256": "f" * 64}, "random weights have no sha256"),
        ({"sha256": "12", "weights": "w"}, "12 is not a sha256"),
        ({"wieghts": "random"}, "unknown key 'wieghts', did you mean 'weights'?"),
        ({"custom": "mine.py:Model(depth=1)"}, "options are what the class is built with"),
        ({"options": [1]}, "options are what the class is built with"),
        ({"options": {"a b": 1}}, "'a b' is not the name of an option"),
        ({"iterations": "many"}, "iterations many is not a number of training iterations"),
    ],
    ids=str,
)
def test_a_mapping_that_names_no_model_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = write(tmp_path, model=given(**changes))
    found = refused(path)
    assert said in found
    assert str(path) in found or str(tmp_path / "mine.py") in found


@pytest.mark.parametrize(
    ("old", "new", "said", "part"),
    [
        (CARD, "", "the class Model has no card", "class Model"),
        (CARD, "    card = {'name': 'mine'}\n\n", "the card of Model is no ModelCard", "class Model"),
        ("tokens=16", "tokens=0", "the card's tokens must be a whole number above 0", "tokens=0"),
        ("tokens=16", "grid=16", "unexpected keyword argument 'grid'", "card = ModelCard("),
        ('name="mine"', 'name="my model"', "the card's name must be letters", 'name="my model"'),
        (
            "def forward(self, x, t, condition, tokens=None)",
            "def forward(self, x, t)",
            "Model.forward takes (self, x, t); let it take (x, t, condition, tokens) after self",
            "def forward",
        ),
        (
            "null=10",
            "null=10, blocks=2",
            "names 2 blocks to perturb, and Model.forward takes no `change`",
            "def forward",
        ),
    ],
)
def test_a_class_that_is_no_model_is_refused_by_file_and_line(
    tmp_path: Path, old: str, new: str, said: str, part: str
) -> None:
    text = MODEL.replace(old, new)
    found = refused(write(tmp_path, text))
    assert said in found
    # The line of a call of several lines is one of them.
    first = line_of(text, part)
    lines = range(line_of(text, "card = ModelCard("), first + 1) if "card = ModelCard(" in text else [first]
    assert any(found.startswith(f"{tmp_path / 'mine.py'}, line {line}: ") for line in {*lines, first})


def test_a_card_may_follow_from_the_options(tmp_path: Path) -> None:
    text = MODEL.replace("    card = ModelCard(", "    @staticmethod\n    def card(side=8): return ModelCard(")
    text = text.replace("shape=(1, 8, 8)", "shape=(1, side, side)").replace("(self, ", "(self, side=8, ", 1)
    (cell, *_) = cells(write(tmp_path, text, model=given(options={"side": 16})))
    assert catalogue.entry(cell.model).image_side == 16
    found = refused(write(tmp_path, text, model=given(options={"sid": 16})))
    assert "model.options: the card of Model takes (side=8), and the options are sid; correct the options" in found


def test_a_name_belongs_to_one_file(tmp_path: Path) -> None:
    (tmp_path / "yours.py").write_text(MODEL)
    found = refused(write(tmp_path, model=[given(), given(custom="yours.py:Model")]))
    assert "yours.py:Model is called mine, which is the name of a model of mine.py:Model" in found


@pytest.mark.parametrize("name", ["fashion-routing", "sit-xl-256", "tread-sit"])
def test_names_of_models_and_families_of_sgbench_are_taken(tmp_path: Path, name: str) -> None:
    text = MODEL.replace('name="mine"', f'name="{name}"')
    said = f"mine.py:Model(depth=1) is called {name}, which is the name of a model or a family of sgbench"
    assert said in refused(write(tmp_path, text, model=given(options={"depth": 1})))


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"guidance": "pag", "layers": "0-1", "perturb_scale": 2}, "perturbs blocks, and the card of mine names none"),
        ({"guidance": "pdg", "scale": 2}, "drops the middle path, which mine weights=random does not have"),
        ({"guidance": "ag", "scale": 2}, "needs an auxiliary checkpoint, which mine weights=random does not have"),
        ({"guidance": "none", "sampler": "ddim"}, "the sampler ddim does not support mine"),
    ],
)
def test_rules_and_samplers_that_it_cannot_serve_are_refused(tmp_path: Path, entry: dict[str, Any], said: str) -> None:
    assert said in refused(write(tmp_path, sweep=[entry]))


def test_rules_that_draw_need_the_width_of_attention(tmp_path: Path) -> None:
    text = MODEL.replace("null=10,", "null=10, blocks=2,").replace("tokens=None)", "tokens=None, change=None)")
    sweep = [{"guidance": "dropout", "layers": "1"}]
    assert "the card of mine does not say how wide it is; choose another rule, or give the card `width`" in refused(
        write(tmp_path, text, sweep=sweep)
    )
    (tmp_path / "wide").mkdir()
    MODELS.drop_brought()
    assert cells(write(tmp_path / "wide", text.replace("blocks=2,", "blocks=2, width=16,"), sweep=sweep))


def test_a_card_without_drops_or_null_condition_says_what_cannot_be_asked(tmp_path: Path) -> None:
    dense = MODEL.replace('drops="dropped tokens skip all blocks",', "").replace("null=10,", "")
    sparse = [{"guidance": "sg", "scale": 2, "gamma_strong": 0, "gamma_weak": 0.5}]
    assert "mine weights=random cannot drop tokens" in refused(write(tmp_path, dense, sweep=sparse))
    unconditional = [{"guidance": "cfg", "scale": 2}]
    assert "mine weights=random has no null class" in refused(write(tmp_path, dense, sweep=unconditional))
    assert len(cells(write(tmp_path, dense, sweep=[{"guidance": "icg", "scale": 2}]))) == 1


def test_groups_need_a_square_grid(tmp_path: Path) -> None:
    sweep = [{"guidance": "sg", "scale": 2, "gamma_strong": 0, "gamma_weak": 0.5, "subset": "groups"}]
    text = MODEL.replace("tokens=16", "tokens=15")
    assert "the 15 tokens of mine weights=random are no square grid" in refused(write(tmp_path, text, sweep=sweep))


def test_metrics_of_random_weights_are_refused(tmp_path: Path) -> None:
    found = refused(write(tmp_path, metrics=["fd"], reference="fashion-mnist"))
    assert "mine weights=random has random weights, so quality metrics would be meaningless" in found
