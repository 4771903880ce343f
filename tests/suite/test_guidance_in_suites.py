"""Guidance, sparsity and samplers as suites write them: what they expand to, and how mistakes are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from sgbench.api import load_suite
from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id, cell_of, cell_record, record_with_paths
from sgbench.cells.program import program
from sgbench.guidance import RULES
from sgbench.guidance.perturbation import layers
from sgbench.guidance.schedules import ALWAYS, gamma_schedule, interval
from sgbench.guidance.settings import Guidance, plain
from sgbench.models import catalogue
from sgbench.models.families import FAMILIES
from sgbench.samplers.settings import Sampler
from sgbench.suite.sweep import expand

Write = Callable[..., Path]
LATENT = {"metrics": [], "reference": None, "autoencoder": "none"}
DIT = {"family": "dit", "size": "S/2", "resolution": 64, "weights": "random"}
TREAD_EDM = {"family": "tread-dit", "size": "S/2", "resolution": 64, "weights": "random"}


def cells(path: Path) -> list[Cell]:
    return expand(load_suite(path))


def refusal(path: Path) -> str:
    """The one sentence, which names the file."""
    with pytest.raises(UserError) as caught:
        load_suite(path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")


def refused(suite_file: Write, entry: dict[str, Any], **suite: Any) -> str:
    return refusal(suite_file(sweep=[entry], **suite))


# What entries expand to


@pytest.mark.slow
def test_every_key_is_swept(suite_file: Write) -> None:
    entry = {
        "guidance": "sg",
        "scale": [1.5, 2],
        "gamma_strong": [0.1, "linear 0.1 to 0.2"],
        "gamma_weak": [0.75, "cosine 0.8 to 0.5"],
        "interval": ["always", "progress 0.2 to 0.8", "noise 0 to 0.7"],
        "scale_schedule": ["constant", "power-cosine 4", "linear falling"],
        "rescale": [0, 0.7],
        "subset": ["exact", "bernoulli", "fixed"],
        "sharing": ["independent", "shared"],
        "sampler": ["euler", "heun"],
        "shift": [1, 3],
    }
    found = cells(suite_file(sweep=[entry]))
    assert len(found) == 2 * 2 * 2 * 3 * 3 * 2 * 3 * 2 * 2 * 2
    assert len({cell_id(cell) for cell in found}) == len(found)


def test_settings_of_one_meaning_are_one_cell(suite_file: Write) -> None:
    entry = {"guidance": "cfg", "scale": 2}
    same = [
        {**entry, "interval": "progress 0 to 1"},
        {**entry, "scale_schedule": "constant"},
        {**entry, "rescale": 0},
        {**entry, "channels": "all"},
        {**entry, "channels": 1},
        {**entry, "sampler": "euler", "shift": 1.0},
    ]
    assert len(cells(suite_file(sweep=[entry, *same]))) == 1
    alone = {"guidance": "cfg", "scale": 1, "interval": ["always", "noise 0 to 0.5"], "rescale": [0, 0.7]}
    assert len(cells(suite_file(sweep=[alone]))) == 1
    powers = {"guidance": "cfg", "scale": 2, "scale_schedule": ["cosine", "power-cosine 1"]}
    assert len(cells(suite_file(sweep=[powers]))) == 1
    spelt = [{"guidance": "sg", "scale": 2, "gamma_strong": 0, "gamma_weak": g} for g in (0.5, "linear 0.5 to 0.50")]
    assert len(cells(suite_file(sweep=spelt))) == 1


def test_a_rules_own_settings_and_their_defaults(suite_file: Write) -> None:
    sweep = [
        {"guidance": "apg", "scale": 2, "eta": [0, 0.5]},
        {"guidance": "cfg-zero", "scale": 2},
        {"guidance": "seg", "perturb_scale": 3, "layers": "2-3,5", "blur": [1.5, float("inf")]},
        {"guidance": "s2", "scale": 1.5, "layers": "1-6"},
    ]
    parameters = [dict(cell.guidance.parameters) for cell in cells(suite_file(sweep=sweep))]
    assert parameters[0] == {"eta": 0.0, "momentum": -0.5, "norm_limit": 0.0}
    assert parameters[2] == {"zero_steps": 1.0}
    assert parameters[3] == {"perturb_scale": 3.0, "layers": layers("2-3,5"), "blur": 1.5, "perturb_interval": ALWAYS}
    assert parameters[5] == {"perturb_scale": 0.25, "layers": layers("1-6"), "drop": 0.1, "perturb_interval": ALWAYS}


def test_presets_bring_the_papers_values(suite_file: Write) -> None:
    sweep = [{"guidance": ["sg_flops", "sg_fid"], "scale": 1.5}, {"guidance": ["sg_t2i_hpsv3", "sg_t2i_geneval"]}]
    assert [cell.guidance for cell in cells(suite_file(sweep=sweep))] == [
        Guidance("sg", 1.5, 0.5, 0.9),
        Guidance("ag+sg", 1.5, gamma_schedule("cosine 0 to 0.6"), gamma_schedule("cosine 0.6 to 0")),
        Guidance("sg", 1.8, 0.1, 0.8),
        Guidance("cfg+sg", 2.5, 0.2, 0.7),
    ]
    sprint = {"family": "sprint", "size": "S/2", "resolution": 64, "weights": "random"}
    found = cells(suite_file(sweep=[{"guidance": "pdg_sprint"}], model=sprint, **LATENT))
    assert found[0].guidance == Guidance("pdg", 3.0)


def test_sampler_settings_reach_the_samplers_that_have_them(suite_file: Write) -> None:
    churn = {"name": "edm-heun", "steps": 5, "churn": 40, "churn_min": 0.05, "churn_max": 50, "churn_noise": 1.003}
    found = cells(suite_file(sweep=[{"guidance": "none"}], model=TREAD_EDM, sampler=churn, **LATENT))
    assert found[0].sampler == Sampler("edm-heun", 5, 1.0, 40, 0.05, 50, 1.003)
    shifted = suite_file(sweep=[{"guidance": "none", "sampler": ["euler", "euler-maruyama"]}],
                         sampler={"name": "euler", "steps": 4, "shift": 2})  # fmt: skip
    assert [cell.sampler.shift for cell in cells(shifted)] == [2, 2]


def test_compile_is_part_of_the_cell(suite_file: Write) -> None:
    plain, compiled, off = (cells(suite_file(compile=how))[0] for how in ("none", "default", False))
    assert (plain.compile, compiled.compile) == ("none", "default")
    assert plain == off
    assert cell_id(plain) != cell_id(compiled)


def test_no_setting_is_rounded_on_the_way(suite_file: Write) -> None:
    entry = {"guidance": "sg", "scale": 2, "gamma_strong": 0, "gamma_weak": "cosine 0.9999999 to 0.5"}
    found = cells(suite_file(sweep=[{**entry, "interval": "progress 0.33333333 to 0.66666666"}]))[0].guidance
    assert (str(found.gamma_weak), str(found.interval)) == (
        "cosine 0.9999999 to 0.5",
        "progress 0.33333333 to 0.66666666",
    )
    far = suite_file(sweep=[{"guidance": "cfg", "scale": 2, "interval": "noise 0.0000001 to 100000000000000000"}],
                     model=TREAD_EDM, sampler={"name": "edm-heun", "steps": 4}, **LATENT)  # fmt: skip
    assert str(cells(far)[0].guidance.interval) == "noise 1e-07 to 1e+17"


def test_records_read_back(suite_file: Write) -> None:
    sweep = [
        {"guidance": "sg_fid", "scale": 1.5, "interval": "noise 0 to 0.7", "sharing": "shared", "shift": 2},
        {"guidance": "seg", "perturb_scale": 3, "layers": "2-3"},
        {"guidance": "none"},
    ]
    for cell in cells(suite_file(sweep=sweep, compile="default")):
        assert cell_of(record_with_paths(cell)) == cell
    far = Guidance("sg", 2.0, 0.1, 0.7, interval=interval("noise 1e-07 to 1e+17"))
    assert (
        cell_of(record_with_paths(Cell("fashion-routing", far, Sampler("euler", 2), 0, "random", "float32"))).guidance
        == far
    )
    plain = cell_record(cells(suite_file(sweep=[{"guidance": "cfg", "scale": 2}]))[0])
    # Neutral settings are not in it, so that a setting added later renames no cell.
    assert plain["guidance"] == {"rule": "cfg", "scale": 2.0}
    assert plain["sampler"] == {"name": "euler", "steps": 2}


PERTURBED = [name for name, rule in RULES.items() if rule.perturbed is not None]
SIZED = [name for name, family in FAMILIES.items() if not family.pipeline]


@pytest.mark.parametrize("rule", PERTURBED)
def test_perturbed_rules_need_no_settings(suite_file: Write, rule: str) -> None:
    (cell,) = cells(suite_file(sweep=[{"guidance": rule}]))
    own = {**dict(cell.guidance.parameters), "layers": str(cell.guidance.parameter("layers", layers("0")))}
    (same,) = cells(suite_file(sweep=[{"guidance": rule, **{name: plain(value) for name, value in own.items()}}]))
    # What a suite leaves out and what it gives is one cell.
    assert cell_id(same) == cell_id(cell)
    assert [call.perturbation is None for call in program(cell)[0].calls] == [True, False]


@pytest.mark.parametrize("family", SIZED)
@pytest.mark.parametrize("rule", PERTURBED)
def test_blocks_have_defaults_in_every_family(suite_file: Write, family: str, rule: str) -> None:
    sampler = {"name": FAMILIES[family].samplers[0], "steps": 4}
    model = {"family": family, "size": "XL/2", "weights": "random"}
    classes = FAMILIES[family].architecture.conditions == "classes"
    captions = {} if classes else {"prompts": "shapes", "text_encoder": "none"}
    path = suite_file(sweep=[{"guidance": rule}], model=model, sampler=sampler, **LATENT, **captions)
    if (rule, family) == ("s2", "microdit"):
        # No three of its blocks cost the same.
        assert "3 of 28 blocks are to be skipped, and only 2 are listed" in refusal(path)
        return
    (cell,) = cells(path)
    chosen, blocks = cell.guidance.parameter("layers", layers("0")), catalogue.entry(cell.model).architecture.blocks
    assert 0 <= chosen[0] <= chosen[-1] < blocks
    assert len(chosen) < blocks
    if rule != "s2":
        # Around a third of the way in, or in the middle.
        assert abs(chosen[len(chosen) // 2] / blocks - (1 / 3 if rule == "slg" else 1 / 2)) < 1 / 8


@given(blocks=st.lists(st.integers(0, 1), min_size=1, max_size=40))
def test_every_network_has_blocks_to_perturb(blocks: list[int]) -> None:
    for rule in PERTURBED:
        (parameter,) = (p for p in RULES[rule].parameters if p.name == "layers")
        chosen = parameter.usual(blocks)
        assert isinstance(chosen, tuple)
        assert sorted(set(chosen)) == list(chosen)
        assert 0 <= chosen[0] <= chosen[-1] < len(blocks)
    assert str(parameter.usual([1] * 28)) == "1-26"


# How mistakes are refused


def test_unknown_rules_and_keys_have_a_nearest_name(suite_file: Write) -> None:
    found = refused(suite_file, {"guidance": "sg_flop", "scale": 2})
    assert found.startswith("sweep[0].guidance: there is no guidance rule 'sg_flop', did you mean 'sg_flops'?")
    assert "unknown key 'momentun', did you mean 'momentum'?" in refused(
        suite_file, {"guidance": "apg", "scale": 2, "momentun": 0}
    )


def test_settings_of_another_rule(suite_file: Write) -> None:
    found = refused(suite_file, {"guidance": "cfg", "scale": 2, "eta": 0})
    assert found == "sweep[0].eta: CFG has no eta, which belongs to APG, HiGS; remove the key."
    assert "unguided has no interval: it has a single branch" in refused(
        suite_file, {"guidance": "none", "interval": "progress 0 to 0.5"}
    )
    assert "CFG has no subset: it drops no tokens" in refused(
        suite_file, {"guidance": "cfg", "scale": 2, "subset": "fixed"}
    )
    assert "sweep[0].gamma_weak: sg_flops is sg with its own gamma_weak" in refused(
        suite_file, {"guidance": "sg_flops", "scale": 2, "gamma_weak": 0.5}
    )


def test_seg_with_dropped_tokens_has_a_reason(suite_file: Write) -> None:
    entry = {"guidance": "seg", "perturb_scale": 2, "layers": "2", "gamma_strong": 0.5}
    found = refused(suite_file, entry)
    assert found.startswith(
        "sweep[0].gamma_strong: SEG has no gamma_strong: its blur runs over the full grid of tokens"
    )


@pytest.mark.parametrize(
    ("rule", "scale", "what"),
    [
        ("cfg", 0.5, "CFG takes scales of at least 1, not 0.5"),
        ("sg_flops", 0.9, "SG takes scales of at least 1, not 0.9"),
        ("cfg++", 1.5, "CFG++ takes scales above 0, up to 1, not 1.5"),
        ("cfg++", 0, "CFG++ takes scales above 0, up to 1, not 0"),
    ],
)
def test_scales_that_a_rule_forbids(suite_file: Write, rule: str, scale: float, what: str) -> None:
    assert f"sweep[0].scale: {what}" in refused(suite_file, {"guidance": rule, "scale": scale})


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("gamma_weak", "cosine 0.6 to 1", "'cosine 0.6 to 1' leaves [0, 1) at 1"),
        ("gamma_weak", "linear 1.5 to 0", "leaves [0, 1) at 1.5"),
        ("gamma_weak", "sine 0.6 to 0", "'sine 0.6 to 0' is not a schedule of gamma"),
        ("gamma_weak", "linear 0.6", "is not a schedule of gamma"),
        ("interval", "progress 0.2 to 1.2", "goes beyond 1"),
        ("interval", "progress 0.8 to 0.2", "ends before it starts"),
        ("interval", "steps 1 to 2", "'steps 1 to 2' is not an interval: write always"),
        ("interval", "noise 0 to 5", "goes beyond 1, and the noise level of euler is between 0 and 1"),
        ("scale_schedule", "power-cosine", "is not a schedule of the scale"),
        ("scale_schedule", "linear 4", "is not a schedule of the scale"),
        ("scale_schedule", "constant falling", "a constant scale does not fall"),
        ("scale_schedule", "falling", "'falling' is not a schedule of the scale"),
        ("gamma_weak", 0.01, "at gamma 0 and 0.01 both branches of SG keep 64 of 64 tokens"),
        ("sharing", "shared", "SG has no sharing: it does not drop tokens in two branches"),
        ("scale", True, "a number is expected, but True was given"),
        ("shift", float("inf"), "finite number"),
        ("rescale", 1.5, "less than or equal to 1"),
        ("channels", 0, "channels is `all` or a number from 1"),
        ("channels", 2, "2 channels cannot be guided: fashion-tiny has 1"),
        ("subset", "exakt", "'exact', 'bernoulli', 'fixed' or 'groups'"),
        ("shift", 0, "greater than 0"),
        ("churn", 10, "the sampler euler has no churn"),
        ("sampler", "ddim", "the sampler ddim does not support fashion-tiny, which predicts velocity"),
    ],
)
def test_values_out_of_range(suite_file: Write, key: str, value: Any, what: str) -> None:
    entry = {"guidance": "sg", "scale": 2, "gamma_strong": 0, "gamma_weak": 0.7}
    found = refused(suite_file, {**entry, key: value})
    assert what in found
    assert found.startswith("sweep[0]") or key == "sampler"


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("eta", 1.5, "eta of APG takes numbers from 0 to 1, not 1.5"),
        ("momentum", -2, "momentum of APG takes numbers from -1 to 1"),
        ("norm_limit", -1, "norm_limit of APG takes numbers from 0, not -1"),
    ],
)
def test_parameters_out_of_range(suite_file: Write, key: str, value: float, what: str) -> None:
    assert f"sweep[0].{key}: {what}" in refused(suite_file, {"guidance": "apg", "scale": 2, key: value})


def test_zero_steps_that_leave_nothing(suite_file: Write) -> None:
    found = refused(suite_file, {"guidance": "cfg-zero", "scale": 2, "zero_steps": 2})
    assert found.startswith("sweep[0].zero_steps: 2 zero steps of 2 leave nothing to sample")


@pytest.mark.parametrize(
    ("sampler", "what"),
    [
        ({"name": "euler", "steps": 4, "churn_noise": 1.01}, "sampler.churn: the sampler euler has no churn"),
        (
            {"name": "edm-heun", "steps": 4, "churn": 9, "churn_min": 5, "churn_max": 1},
            "churn_min 5 is above churn_max 1",
        ),
        ({"name": "edm-heun", "steps": 4, "churn": float("inf")}, "finite number"),
    ],
)
def test_sampler_settings_that_mean_nothing(suite_file: Write, sampler: dict[str, Any], what: str) -> None:
    assert what in refused(suite_file, {"guidance": "none"}, sampler=sampler)


def test_a_schedule_that_crosses_the_other_gamma(suite_file: Write) -> None:
    entry = {"guidance": "sg", "scale": 2, "gamma_strong": "linear 0 to 0.6", "gamma_weak": "linear 0.8 to 0.5"}
    assert "gamma_strong linear 0 to 0.6 is not below gamma_weak linear 0.8 to 0.5" in refused(suite_file, entry)
    # With a checkpoint of its own, the weak branch may be the denser one.
    assert len(cells(suite_file(sweep=[{**entry, "guidance": "ag+sg"}]))) == 1


@pytest.mark.parametrize("gamma", [0.3, "cosine 0.5 to 0.25"])
def test_groups_need_whole_tokens(suite_file: Write, gamma: float | str) -> None:
    entry = {"guidance": "sg", "scale": 2, "gamma_strong": 0, "gamma_weak": gamma, "subset": "groups"}
    assert "does not divide a grid of 8 x 8 into groups of 2 x 2 or 2 x 4 tokens" in refused(suite_file, entry)


def test_blocks_that_are_not_there(suite_file: Write) -> None:
    entry = {"guidance": "slg", "perturb_scale": 2}
    assert "fashion-tiny has no block 8, only 0 to 7" in refused(suite_file, {**entry, "layers": "6-8"})
    assert "'7 to 9' is not a list of blocks" in refused(suite_file, {**entry, "layers": "7 to 9"})
    drawn = {"guidance": "s2", "layers": "3-4", "drop": 0.5}
    assert "4 of 8 blocks are to be skipped, and only 2 are listed" in refused(suite_file, drawn)
    mixed = {"guidance": "s2", "layers": "6-8"}
    assert "differ in cost, so the cost per step would be random" in refused(suite_file, mixed, model="fashion-masking")


def test_rules_that_a_model_or_sampler_cannot_serve(suite_file: Write) -> None:
    zero = refused(
        suite_file, {"guidance": "cfg-zero", "scale": 2}, model=DIT, sampler={"name": "ddim", "steps": 4}, **LATENT
    )
    assert "CFG-Zero* needs a velocity, and dit S/2 64 weights=random predicts epsilon" in zero
    plus = refused(suite_file, {"guidance": "cfg++", "scale": 0.6, "sampler": "heun"})
    assert "CFG++ works with the sampler euler or ddim, not with heun" in plus
    path = refused(suite_file, {"guidance": "pdg", "scale": 2})
    assert "PDG drops the middle path, which fashion-tiny does not have" in path


def test_a_model_without_a_null_class(suite_file: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = catalogue.entry("fashion-dense")
    without = entry._replace(family=replace(entry.family, null_class=False))
    real = catalogue.entry
    monkeypatch.setattr(
        catalogue, "entry", lambda name, where="": without if name == "fashion-dense" else real(name, where)
    )
    for rule in ("cfg", "apg", "tcfg"):
        said = refused(suite_file, {"guidance": rule, "scale": 2}, model="fashion-dense")
        assert "needs an unconditional prediction, and fashion-dense has no null class" in said
    assert len(cells(suite_file(sweep=[{"guidance": ["icg", "ag"], "scale": 2}], model="fashion-dense"))) == 2
    # A perturbed branch needs no null class as long as CFG is left out.
    pag = {"guidance": "pag", "perturb_scale": 1, "layers": "2", "scale": [1]}
    assert len(cells(suite_file(sweep=[pag], model="fashion-dense"))) == 1


def test_an_auxiliary_checkpoint_that_is_missing_or_of_another_shape(suite_file: Write, tmp_path: Path) -> None:
    main, auxiliary = tmp_path / "main.safetensors", tmp_path / "early.safetensors"
    model = {**DIT, "family": "tread-sit", "weights": str(main)}
    ag = {"guidance": "ag", "scale": 2}
    assert "AG needs an auxiliary checkpoint, which" in refused(suite_file, ag, model=model, **LATENT)
    model["auxiliary"] = str(auxiliary)
    # A suite may be planned without any weights.
    assert len(cells(suite_file(sweep=[ag], model=model, **LATENT))) == 1
    save_file({"pos_embed": torch.zeros(2, 3)}, main)
    missing = refused(suite_file, ag, model=model, **LATENT)
    assert missing.startswith(f"sweep[0].model.auxiliary: the auxiliary checkpoint of AG is missing: {auxiliary}")
    save_file({"pos_embed": torch.zeros(2, 4)}, auxiliary)
    other = refused(suite_file, ag, model=model, **LATENT)
    assert "differs in shape from" in other
    assert "pos_embed is [2, 4], not [2, 3]" in other
    # Wrappers and parts that loading leaves out make no difference.
    save_file({"module.pos_embed": torch.ones(2, 3), "projectors.0.weight": torch.ones(1)}, auxiliary)
    assert len(cells(suite_file(sweep=[ag], model=model, **LATENT))) == 1
