"""Cell ids: pinned, and made of nothing but what changes an image."""

from __future__ import annotations

import pytest

from sgbench.suite.cell import Cell, Guidance, Sampler
from sgbench.suite.identity import VERSION, cell_id, cell_record
from sgbench.zoo import weights

SG = Cell("fashion-routing", Guidance("sg", 2.0, 0.0, 0.7), Sampler("euler", 10), 0, "balanced", "bfloat16")
AG = SG._replace(guidance=Guidance("ag", 2.0, 0.0, 0.0))
SEG = SG._replace(
    guidance=Guidance(
        "seg",
        1.5,
        interval="noise 0 to 0.7",
        scale_schedule="power-cosine 4",
        rescale=0.7,
        channels=3,
        subset="bernoulli",
        sharing="shared",
        parameters=(("perturb_scale", 3.0), ("layers", "3-4"), ("blur", float("inf")), ("perturb_interval", "always")),
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
    "interval": "progress 0 to 0.5",
    "scale_schedule": "linear",
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
