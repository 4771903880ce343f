"""The catalogue: every entry says everything, and the two forms of a score are never taken for each other."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from sgbench.base.errors import UserError
from sgbench.metrics.preference.catalogue import SCORERS, benchmark_form


def test_every_entry_says_everything() -> None:
    for scorer in SCORERS.values():
        assert scorer.better == "higher"
        assert scorer.files
        for source in scorer.files:
            assert source.address.startswith("hf://")
            assert source.address.endswith(f"/{source.file}")
            assert source.licence
        assert bool(scorer.requirements) == bool(scorer.hub)
    # Two weights under one variant, and two variants of one weight.
    assert SCORERS["hpsv2"].files != SCORERS["hpsv2.1"].files == SCORERS["hpsv2-package"].files
    assert "raw cosine" in SCORERS["hpsv2"].variant
    assert "antialias on" in SCORERS["hpsv2"].variant
    assert SCORERS["hpsv2-package"].variant != SCORERS["hpsv2.1"].variant


@pytest.mark.parametrize("name", ["hpsv2", "hpsv2.1", "hpsv2-package"])
def test_tables_of_hpsv2_show_a_hundred_times_the_cosine(name: str) -> None:
    form = benchmark_form(name, np.array([0.2638, 0.3063]))
    assert form.values == pytest.approx([26.38, 30.63])
    assert form.unit == "100 x cosine"


def test_the_form_of_others_is_their_own() -> None:
    values = np.array([-0.5, 7.25])
    assert np.array_equal(benchmark_form("hpsv3", values).values, values)
    assert benchmark_form("hpsv3", values).unit == "mu"
    assert benchmark_form("clipscore", np.array([0.25])) == (pytest.approx([25]), "100 x max(cosine, 0)")


def test_another_name_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"there is no preference scorer 'hpsv2\.2', did you mean 'hpsv2(\.1)?'\?"):
        benchmark_form("hpsv2.2", np.zeros(1))


@pytest.mark.slow
def test_names_are_known_without_torch() -> None:
    code = "import sys, sgbench.metrics.preference; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
