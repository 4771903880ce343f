"""Every fault of a suite file is one sentence: what, where, what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sgbench.api import load_suite
from sgbench.base.errors import UserError
from sgbench.suite.sweep import check_samples, expand

Write = Callable[..., Path]


def message(path: Path, preset: str | None = None, limit: int | None = None) -> str:
    with pytest.raises(UserError) as caught:
        load_suite(path, preset, limit)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_the_embedded_suite_and_its_presets_are_valid() -> None:
    path = Path(__file__).parents[2] / "suites" / "fashion-mnist.yaml"
    whole, quick, full = load_suite(path), load_suite(path, "quick"), load_suite(path, "full")
    assert len(expand(whole)) == len(expand(full)) > 40
    assert {c.model for c in expand(whole)} == {"fashion-routing", "fashion-masking", "fashion-dense"}
    assert {c.guidance.rule for c in expand(quick)} == {"none", "cfg", "sg", "cfg+sg"}
    assert quick.samples < whole.samples


def test_a_misspelt_key_is_named_with_a_suggestion(suite_file: Write) -> None:
    found = message(suite_file(smaples=3))
    assert "tiny.yaml: smaples: unknown key 'smaples', did you mean 'samples'?" in found


def test_a_misspelt_key_inside_the_sweep_is_named_with_its_place(suite_file: Write) -> None:
    found = message(suite_file(sweep=[{"guidance": "cfg", "scal": 2}]))
    assert "sweep[0].scal: unknown key 'scal', did you mean 'scale'?" in found
    assert "gamma_strong" in found


def test_a_misspelt_key_inside_a_preset_is_named_with_its_place(suite_file: Write) -> None:
    found = message(suite_file(presets={"quick": {"sweep": [{"guidance": "cfg", "scal": 2}]}}))
    assert "presets.quick.sweep[0].scal: unknown key 'scal', did you mean 'scale'?" in found
    assert "presets.quick.sampels" in message(suite_file(presets={"quick": {"sampels": 3}}))


def test_a_missing_key(suite_file: Write) -> None:
    assert "tiny.yaml: seed: the key is missing; add it." in message(suite_file(seed=None))


@pytest.mark.parametrize("gamma", [1.0, -0.1, 2])
def test_gamma_outside_its_range(suite_file: Write, gamma: float) -> None:
    found = message(suite_file(sweep=[{"guidance": "none", "gamma_strong": gamma}]))
    assert "sweep[0].gamma_strong[0]" in found
    assert f"but {gamma!r} was given" in found


def test_strong_branch_not_denser_than_weak(suite_file: Write) -> None:
    entry = {"guidance": "sg", "gamma_strong": [0, 0.7], "gamma_weak": 0.7, "scale": 2}
    found = message(suite_file(sweep=[entry]))
    assert "sweep[0]: gamma_strong 0.7 is not below gamma_weak 0.7" in found


def test_autoguidance_may_have_a_sparser_strong_branch(suite_file: Write) -> None:
    entry = {"guidance": "ag+sg", "gamma_strong": 0.7, "gamma_weak": 0.3, "scale": 2}
    assert len(expand(load_suite(suite_file(sweep=[entry])))) == 1


def test_unknown_rule_and_model(suite_file: Write) -> None:
    assert "there is no guidance rule 'cgf', did you mean 'cfg'?" in message(
        suite_file(sweep=[{"guidance": "cgf", "scale": 2}])
    )
    assert "there is no model 'fashion-rooting', did you mean 'fashion-routing'?" in message(
        suite_file(model="fashion-rooting")
    )


def test_settings_a_rule_does_not_have_or_lacks(suite_file: Write) -> None:
    assert "sweep[0].gamma_weak: CFG has no gamma_weak; remove the key." in message(
        suite_file(sweep=[{"guidance": "cfg", "scale": 2, "gamma_weak": 0.5}])
    )
    assert "SG needs gamma_weak; add `gamma_weak: ...`." in message(
        suite_file(sweep=[{"guidance": "sg", "scale": 2, "gamma_strong": 0}])
    )


def test_too_few_images_for_a_metric(suite_file: Write) -> None:
    few = load_suite(suite_file(), limit=12)
    with pytest.raises(UserError, match=r"need at least 20 images, and samples is 12; raise samples \(or --limit\)"):
        check_samples(few)
    check_samples(load_suite(suite_file(metrics=[]), limit=12))


def test_unknown_reference_preset_and_metric(suite_file: Write) -> None:
    assert "there is no reference 'cifar'" in message(suite_file(reference="cifar"))
    assert "there is no preset 'quik', did you mean 'quick'?" in message(
        suite_file(presets={"quick": {"samples": 30}}), "quik"
    )
    assert "metrics[0]: there is no such metric, did you mean 'fid'?" in message(suite_file(metrics=["fidd"]))
    assert "fd is measured against fashion-mnist, and the reference is imagenet-256" in message(
        suite_file(reference="imagenet-256")
    )


def test_files_that_are_not_suites(tmp_path: Path) -> None:
    assert "there is no such suite file" in message(tmp_path / "absent.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("suite: x\nsweep: [1, 2\nseed: 3\n")
    assert "line 3" in message(broken)
    broken.write_text("- a\n- list\n")
    assert "a suite file must be a mapping of keys" in message(broken)
    broken.write_text("suite: !!python/object/apply:os.system ['true']\n")
    assert "not valid YAML" in message(broken)
    broken.write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in message(broken)


def test_a_suite_name_cannot_leave_its_folder(suite_file: Write) -> None:
    assert "tiny.yaml: suite" in message(suite_file(suite="../evil"))


def test_a_limit_is_a_prefix_of_the_suite(suite_file: Write) -> None:
    path = suite_file(samples=500)
    assert load_suite(path, limit=40).samples == 40
    assert load_suite(path, limit=4000).samples == 500
    assert expand(load_suite(path, limit=40)) == expand(load_suite(path))


def test_sweep_is_the_product_in_the_order_of_the_file(suite_file: Write) -> None:
    entry = {"guidance": ["cfg", "icg"], "scale": [1.5, 2], "steps": [2, 4]}
    cells = expand(load_suite(suite_file(sweep=[entry, entry])))
    assert [(c.guidance.rule, c.guidance.scale, c.sampler.steps) for c in cells] == [
        (rule, scale, steps) for rule in ("cfg", "icg") for scale in (1.5, 2) for steps in (2, 4)
    ]
