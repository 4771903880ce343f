"""The catalogue of judges: every entry says everything, and two forms of a score are never taken for each other."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

from sgbench.base.errors import UserError
from sgbench.metrics.catalogue import METRICS
from sgbench.metrics.judges.catalogue import JUDGES, judge_named

PREFERENCE = [judge for judge in JUDGES.values() if judge.judges == "preference"]


def test_every_entry_says_everything() -> None:
    for judge in JUDGES.values():
        assert callable(pkgutil.resolve_name(f"sgbench.metrics.{judge.code}"))
        assert bool(judge.weights) != (judge.rules_sha256 is not None)
        assert bool(judge.packages) == bool(judge.install)
    for judge in PREFERENCE:
        assert judge.unit
        assert judge.works
        (weights,) = judge.weights
        for file in weights.files:
            assert file.source.startswith("hf://")
            assert file.source.endswith(f"/{file.file}")
            assert file.licence
        assert bool(judge.requirements) == bool(judge.hub)
    # Two weights under one way of feeding, and two ways for one file.
    assert JUDGES["hpsv2"].weights != JUDGES["hpsv2.1"].weights == JUDGES["hpsv2-package"].weights
    assert "raw cosine" in JUDGES["hpsv2"].inputs
    assert "antialias on" in JUDGES["hpsv2"].inputs
    assert JUDGES["hpsv2-package"].inputs != JUDGES["hpsv2.1"].inputs


@pytest.mark.parametrize("key", ["hpsv2", "hpsv2.1", "hpsv2_package", "clipscore"])
def test_tables_of_cosines_show_a_hundred_times_the_cosine(key: str) -> None:
    raw, shown = METRICS[key], METRICS[f"{key}_x100"]
    assert (raw.factor, shown.factor) == (1, 100)  # type: ignore[attr-defined]
    assert shown.title.endswith(f"100 x {JUDGES[raw.extractor].unit}")
    assert shown.variant != raw.variant


def test_the_form_of_others_is_their_own() -> None:
    assert METRICS["hpsv3"].title.endswith(", mu")
    assert not [key for key in METRICS if key.startswith(("hpsv3_", "imagereward_", "pickscore_"))]


def test_another_name_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"there is no judge 'hpsv2\.2', did you mean 'hpsv2(\.1)?'\?"):
        judge_named("hpsv2.2")


@pytest.mark.slow
def test_names_are_known_without_torch() -> None:
    code = "import sys, sgbench.metrics.judges.catalogue; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
