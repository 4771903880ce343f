"""The machine's pace: measured once a day for what a suite needs; without it a forecast is a default and says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgbench import api
from sgbench.plan import pace
from sgbench.progress import Silent

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
    measured = pace.Pace({f"{ROUTING} float32": 12.5}, {"fashion-cnn": 0.001}, 3.0, 2, pace.today())
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({pace.machine(): {**measured._asdict(), **changes}}))


@pytest.mark.full
def test_what_a_suite_needs_is_measured_once(kept: Path, suite_file: Callable[..., Path]) -> None:
    suite = api.load_suite(suite_file(model=ROUTING, dtype="float32"))
    before = api.make_plan(suite, kept.parent)
    assert "a default" in before.rate_basis
    lines = Lines()
    api.measure_pace(suite, lines)
    known = pace.known_pace()
    assert known.models.keys() == {f"{ROUTING} float32"}
    assert known.extractors.keys() == {"fashion-cnn"}
    assert known.start_seconds is not None
    assert known.threads > 0
    after = api.make_plan(suite, kept.parent)
    assert after.rate == pytest.approx(known.models[f"{ROUTING} float32"])
    assert "measured today" in after.rate_basis
    written = kept.read_bytes()
    api.measure_pace(suite, lines)
    assert kept.read_bytes() == written
    names = f"{ROUTING}, fashion-cnn"
    assert lines.said == [f"measuring how fast this machine is today with {names}: less than a minute"]


def test_what_is_measured_later_joins_what_is_known(kept: Path) -> None:
    write(kept)
    pace._keep(pace.Pace({"shapes float32": 7.0}, {"lite0": 0.02}, 4.0, 2, pace.today()))
    assert pace.known_pace().models == {f"{ROUTING} float32": 12.5, "shapes float32": 7.0}
    assert pace.known_pace().extractors == {"fashion-cnn": 0.001, "lite0": 0.02}


def test_a_pace_of_another_day_or_machine_is_not_used(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(kept, day="2026-01-01")
    assert pace.known_pace() == pace.Pace({}, {})
    write(kept)
    assert pace.known_pace().models
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


@given(st.dictionaries(st.sampled_from([*pace.Pace._fields, "more"]), VALUES))
def test_garbled_paces_hold_nothing_or_positive_numbers(tmp_path_factory: pytest.TempPathFactory, garbled: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "garbled" / "pace.json"
    write(path, **garbled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SGBENCH_PACE", str(path))
        known = pace.known_pace()
    assert all(rate > 0 for rate in [*known.models.values(), *known.extractors.values(), known.start_seconds or 1])


def test_where_measuring_fails_the_forecast_is_a_default(
    kept: Path, suite_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    suite = api.load_suite(suite_file(model=ROUTING))
    api.measure_pace(suite)
    assert not kept.exists()
    assert "a default" in api.make_plan(suite, kept.parent).rate_basis


def test_models_of_other_people_are_never_measured(kept: Path, suite_file: Callable[..., Path]) -> None:
    random = {"family": "tread-sit", "size": "S/4", "resolution": 64, "weights": "random"}
    sweep = [{"guidance": "none"}]
    suite = api.load_suite(suite_file(model=random, reference=None, metrics=[], autoencoder="none", sweep=sweep))
    lines = Lines()
    api.measure_pace(suite, lines)
    assert lines.said == []
    assert not kept.exists()
