"""Lists of what suites can name and where it comes from; images scored by a metric of a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sgbench.metrics.scores import METRICS
from sgbench.samplers.catalogue import SAMPLERS

pytestmark = pytest.mark.usefixtures("own_code")
Command = Callable[..., tuple[int, str, str]]

OWN = """
from sgbench.metrics.metric import ImageMetric

METRIC = ImageMetric("light", "light", "higher", values=lambda images: images.mean(axis=(1, 2, 3)))
"""


@pytest.mark.parametrize(("what", "registry"), [("metrics", METRICS), ("samplers", SAMPLERS)])
def test_lists_name_everything_once(what: str, registry: dict[str, object], sgbench: Command) -> None:
    status, out, _ = sgbench(what, "list")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == list(registry)
    _, out, _ = sgbench(what, "list", "--json")
    assert {entry["from"] for entry in json.loads(out.splitlines()[-1])[what]} == {"sgbench"}


def test_lists_say_whose_a_thing_is(tmp_path: Path, sgbench: Command) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    METRICS.bring("mine.py:METRIC", tmp_path, "x")
    _, out, _ = sgbench("metrics", "list")
    (line,) = (line for line in out.splitlines() if line.startswith("light"))
    assert line.endswith("(from mine.py:METRIC)")


def test_images_are_scored_by_a_metric_of_a_file_without_a_reference(tmp_path: Path, sgbench: Command) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    pixels = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3)).astype(np.uint8)
    np.savez(tmp_path / "set.npz", arr_0=pixels)
    status, out, err = sgbench("score", tmp_path / "set.npz", "--metrics", f"{tmp_path}/mine.py:METRIC", "--json")
    assert status == 0, err
    (found,) = json.loads(out.splitlines()[-1])["sets"]
    assert found["scores"]["light"]["value"] == pytest.approx(pixels.mean())
    assert found["scores"]["light"]["protocol"]["code_sha256"] == METRICS.origin("light").sha256
    status, _, err = sgbench("score", tmp_path / "set.npz", "--metrics", "fd")
    assert status == 1
    assert "a reference or prompts" in err
