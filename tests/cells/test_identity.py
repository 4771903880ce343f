"""Cell ids: pinned, and made of nothing but what changes an image."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sgbench.cells.cell import Cell
from sgbench.cells.identity import VERSION, cell_id, cell_of, cell_record, record_with_paths
from sgbench.guidance.perturbation import layers
from sgbench.guidance.schedules import ALWAYS, interval, scale_schedule
from sgbench.guidance.settings import Guidance
from sgbench.samplers.settings import Sampler
from sgbench.zoo import weights

SG = Cell("fashion-routing", Guidance("sg", 2.0, 0.0, 0.7), Sampler("euler", 10), 0, "balanced", "bfloat16")
AG = SG._replace(guidance=Guidance("ag", 2.0, 0.0, 0.0))
SEG = SG._replace(
    guidance=Guidance(
        "seg",
        1.5,
        interval=interval("noise 0 to 0.7"),
        scale_schedule=scale_schedule("power-cosine 4"),
        rescale=0.7,
        channels=3,
        subset="bernoulli",
        sharing="shared",
        parameters=(
            ("perturb_scale", 3.0),
            ("layers", layers("3-4")),
            ("blur", float("inf")),
            ("perturb_interval", ALWAYS),
        ),
    ),
    sampler=Sampler("edm-heun", 5, churn=40.0),
    compile="default",
)
# Recorded when the version was written, with checkpoint digests of sixty-four zeros. Never edit; add a version.
GOLDEN = {2: ("22c182bf8ec883aa", "44b6ea7289cce49e", "cacdd48609afaa5a")}


def test_ids_of_this_version_are_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "checkpoint_sha256", lambda name, checkpoint="final": "0" * 64)
    assert (cell_id(SG), cell_id(AG), cell_id(SEG)) == GOLDEN[VERSION]


SETTINGS = {
    "interval": interval("progress 0 to 0.5"),
    "scale_schedule": scale_schedule("linear"),
    "rescale": 0.5,
    "channels": 3,
    "subset": "fixed",
    "sharing": "shared",
    "parameters": (("eta", 0.5),),
}


def test_every_field_changes_the_id() -> None:
    others = [
        SG._replace(model="fashion-masking"),
        SG._replace(guidance=SG.guidance._replace(rule="cfg+sg")),
        SG._replace(guidance=SG.guidance._replace(scale=2.5)),
        SG._replace(guidance=SG.guidance._replace(gamma_strong=0.1)),
        SG._replace(guidance=SG.guidance._replace(gamma_weak=0.8)),
        SG._replace(sampler=Sampler("euler", 11)),
        SG._replace(seed=1),
        SG._replace(labels="random"),
        SG._replace(dtype="float32"),
        SG._replace(compile="default"),
        *(SG._replace(guidance=SG.guidance._replace(**{name: value})) for name, value in SETTINGS.items()),
        *(SG._replace(sampler=SG.sampler._replace(**{name: 2.5})) for name in Sampler._fields[2:]),
    ]
    assert len({cell_id(cell) for cell in [SG, *others]}) == len(others) + 1


def test_an_integer_and_a_float_of_one_value_are_one_cell() -> None:
    from sgbench.suite.schema import SweepEntry

    entry = SweepEntry.model_validate({"guidance": "cfg", "scale": 2})
    assert entry.scale is not None
    assert isinstance(entry.scale[0], float)


def test_the_record_holds_the_digest_of_every_checkpoint_used() -> None:
    assert cell_record(SG)["checkpoints"] == {"main": weights.checkpoint_sha256("fashion-routing")}
    assert cell_record(AG)["checkpoints"] == {
        "main": weights.checkpoint_sha256("fashion-routing"),
        "auxiliary": weights.checkpoint_sha256("fashion-routing", "early"),
    }


def test_changed_weights_change_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cell_id(SG)
    monkeypatch.setattr(weights, "checkpoint_sha256", lambda name, checkpoint="final": "1" * 64)
    assert cell_id(SG) != before


# Prompts


def asking(path: Path | str) -> Cell:
    return SG._replace(model="shapes", prompts=str(path))


def test_prompts_name_a_cell_by_their_content(tmp_path: Path) -> None:
    first, same, other = (tmp_path / name for name in ("a.txt", "b.jsonl", "c.txt"))
    first.write_text("a circle\na ring\n")
    same.write_text('{"prompt": "a circle"}\n{"prompt": "a ring"}\n')
    other.write_text("a ring\na circle\n")
    assert cell_id(asking(first)) == cell_id(asking(same))
    ids = {cell_id(asking(path)) for path in (first, other, "shapes", tmp_path / "absent.txt")}
    assert len({*ids, cell_id(SG._replace(model="shapes"))}) == 5
    before = cell_id(asking(first))
    first.write_text("a circle\na star\n")
    assert cell_id(asking(first)) != before


def test_a_record_of_prompts_holds_no_path_and_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("a circle\na ring\n")
    cell = asking(path)
    assert str(tmp_path) not in json.dumps(cell_record(cell))
    assert cell_of(json.loads(json.dumps(record_with_paths(cell)))) == cell
    assert "prompts" not in cell_record(SG)


def test_the_text_encoder_names_a_cell_by_its_content(tmp_path: Path) -> None:
    names = [tmp_path / name for name in ("a.safetensors", "b.safetensors", "c.safetensors")]
    names[0].write_bytes(b"one")
    shutil.copy(names[0], names[1])
    names[2].write_bytes(b"other")
    cells = [asking("shapes")._replace(text_encoder=str(path)) for path in names]
    ids = [cell_id(cell) for cell in cells]
    assert ids[0] == ids[1] != ids[2]
    assert cell_id(asking("shapes")) not in ids
    assert cell_of(json.loads(json.dumps(record_with_paths(cells[0])))) == cells[0]
