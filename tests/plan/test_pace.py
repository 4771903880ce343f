"""The machine's pace: measured once a day for what a suite needs; without it a forecast is a default and says so."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgbench import api
from sgbench.base.processor import processor_name
from sgbench.base.progress import Silent
from sgbench.plan import pace

ROUTING = "fashion-routing"


class Lines(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where paces are kept; nothing is there yet."""
    path = tmp_path / "paces" / "pace.json"
    monkeypatch.setenv("SGBENCH_PACE", str(path))
    return path


def write(path: Path, **changes: Any) -> None:
    measured = pace.Pace({f"{ROUTING} float32": 12.5}, {"fashion-cnn": 0.001}, 3.0, "cpu", 2, time.time() - 60)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({pace.machine("auto"): {**measured._asdict(), **changes}}))


@pytest.mark.full
@pytest.mark.slow
def test_what_a_suite_lacks_is_measured_once(kept: Path, suite_file: Callable[..., Path]) -> None:
    """Of the model and the extractor that the suite needs, one is known."""
    write(kept, models={})
    suite = api.load_suite(suite_file(model=ROUTING, sampler={"name": "euler", "steps": 1}))
    lines = Lines()
    found = api.measure_pace(suite, lines)
    assert lines.said == [f"measuring how fast this machine is today with {ROUTING}: less than a minute"]
    assert found == pace.known_pace()
    assert found.models.keys() == {f"{ROUTING} float32"}
    assert found.extractors == {"fashion-cnn": 0.001}
    assert found.threads == 1
    plan = api.make_plan(suite, kept.parent)
    assert plan.rate == pytest.approx(found.models[f"{ROUTING} float32"])
    assert plan.rate_basis == f"measured within a day on {processor_name()}, 1 threads"
    written = kept.read_bytes()
    assert api.measure_pace(suite, lines) == found
    assert kept.read_bytes() == written
    assert len(lines.said) == 1


@pytest.mark.parametrize("changes", [{"at": time.time() - 90_000}, {"at": time.time() + 3_600}])
def test_a_pace_of_another_day_is_not_used(kept: Path, changes: dict[str, float]) -> None:
    write(kept)
    assert pace.known_pace().models
    write(kept, **changes)
    assert pace.known_pace() == pace.Pace({}, {})


def test_a_pace_of_another_machine_or_device_is_not_used(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(kept)
    assert pace.known_pace("cpu") == pace.Pace({}, {})
    monkeypatch.setenv("OMP_NUM_THREADS", "17")
    assert pace.known_pace() == pace.Pace({}, {})


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, '{"a": 1}', "\0"])
def test_a_damaged_file_holds_nothing(kept: Path, text: str) -> None:
    kept.parent.mkdir()
    kept.write_text(text)
    assert pace.known_pace() == pace.Pace({}, {})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from([*pace.Pace._fields, "more"]), VALUES))
def test_garbled_paces_hold_nothing_or_positive_numbers(tmp_path_factory: pytest.TempPathFactory, garbled: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "garbled" / "pace.json"
    write(path, **garbled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SGBENCH_PACE", str(path))
        known = pace.known_pace()
    assert all(rate > 0 for rate in [*known.models.values(), *known.extractors.values(), known.start_seconds or 1])


def test_where_measuring_fails_the_forecast_is_a_default_and_that_is_said(
    kept: Path, suite_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    suite = api.load_suite(suite_file(model=ROUTING))
    lines = Lines()
    assert api.measure_pace(suite, lines) == pace.Pace({}, {})
    assert lines.said[-1].startswith("measuring failed (Command ")
    assert not kept.exists()
    assert "a default" in api.make_plan(suite, kept.parent).rate_basis


@pytest.mark.full
def test_where_nothing_can_be_kept_what_is_measured_is_used(kept: Path, suite_file: Callable[..., Path]) -> None:
    kept.parent.write_text("a file, not a folder")
    suite = api.load_suite(suite_file(model=ROUTING))
    assert api.measure_pace(suite).models
    assert kept.parent.is_file()


def test_models_of_other_people_are_never_measured(kept: Path, suite_file: Callable[..., Path]) -> None:
    random = {"family": "tread-sit", "size": "S/4", "resolution": 64, "weights": "random"}
    sweep = [{"guidance": "none"}]
    suite = api.load_suite(suite_file(model=random, reference=None, metrics=[], autoencoder="none", sweep=sweep))
    lines = Lines()
    api.measure_pace(suite, lines)
    assert lines.said == []
    assert not kept.exists()
