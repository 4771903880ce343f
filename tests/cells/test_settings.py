"""The columns of rows that hold a cell's settings follow from the cell's fields."""

from __future__ import annotations

import json

from sgbench.cells.cell import Cell
from sgbench.cells.settings import FILES, NEUTRAL, SETTINGS, parameters_text, settings
from sgbench.guidance.perturbation import layers
from sgbench.guidance.schedules import interval
from sgbench.guidance.settings import Guidance
from sgbench.samplers.settings import Sampler

WHEN = interval("noise 0 to 0.7")
PARAMETERS = (("perturb_scale", 3.0), ("layers", layers("3-4")), ("blur", float("inf")), ("perturb_interval", WHEN))
CELL = Cell(
    *("fashion-routing", Guidance("seg", 2.0, 0.25, parameters=PARAMETERS), Sampler("edm-heun", 4, churn_noise=1.5)),
    *(7, "balanced", "float32"),
)


def test_every_field_is_one_column() -> None:
    """A field that is added to a cell, its guidance or its sampler needs no second place."""
    fields = [field for field in Cell._fields if field not in (*FILES, "guidance", "sampler")]
    kinds = ["guidance", *Guidance._fields[1:], "sampler", *Sampler._fields[1:]]
    assert sorted(SETTINGS) == sorted([*fields, *kinds])
    assert tuple(settings(CELL)) == SETTINGS
    assert set(NEUTRAL) < set(SETTINGS)


def test_no_two_cells_have_the_same_columns() -> None:
    columns = settings(CELL)
    others = [
        CELL._replace(guidance=CELL.guidance._replace(channels=3)),
        CELL._replace(guidance=CELL.guidance._replace(parameters=PARAMETERS[:2])),
        CELL._replace(sampler=CELL.sampler._replace(churn_max=50.0)),
        CELL._replace(sampler=CELL.sampler._replace(churn_noise=1.0)),
        CELL._replace(compile="default"),
    ]
    assert all(settings(other) != columns for other in others)


def test_neutral_columns_are_those_of_a_cell_that_sets_nothing() -> None:
    plain = settings(CELL._replace(guidance=Guidance("cfg", 3.0), sampler=Sampler("euler", 4)))
    assert {name: plain[name] for name in NEUTRAL} == NEUTRAL


def test_a_whole_number_is_one_text() -> None:
    rows = [
        settings(CELL._replace(guidance=Guidance("cfg-zero", 2.0, parameters=(("zero_steps", n),)))) for n in (1, 1.0)
    ]
    assert rows[0]["parameters"] == rows[1]["parameters"] == '{"zero_steps": 1.0}'


def test_parameters_are_json_with_their_types() -> None:
    found = settings(CELL)["parameters"]
    assert json.loads(found) == {
        "perturb_scale": 3.0,
        "layers": "3-4",
        "blur": "inf",
        "perturb_interval": "noise 0 to 0.7",
    }
    assert parameters_text(found) == "perturb_scale 3, layers 3-4, blur inf, perturb_interval noise 0 to 0.7"
    assert parameters_text("") == parameters_text(float("nan")) == ""
