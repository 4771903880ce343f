"""Suites of every kind, valid, nearly valid and garbage: each plans, or ends in one sentence. Never anything else.

10,000 suites in twenty seeded parts, of which `make test` draws the first.
"""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, seed, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from sgbench.api import load_suite, make_plan
from sgbench.base.errors import UserError
from sgbench.cli.app import app
from sgbench.suite.sweep import check_samples
from tests.parts import parts
from tests.suite.fuzz_broken import nearly_valid, spelt
from tests.suite.fuzz_garbage import GARBAGE
from tests.suite.fuzz_valid import valid

pytestmark = pytest.mark.slow

PARTS = 20
Tell = Callable[[str, int], None]
# A guard against loops without end, a thousand times what the slowest example takes.
HANGS_AFTER_SECONDS = 60
FUZZ = settings(
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)


class HungError(BaseException):
    """Nothing catches it."""


def hung(*_: object) -> None:
    raise HungError


def outcome(path: Path, preset: str | None = None) -> str:
    """What comes of a suite file: `plans`, or the message of its error, which is checked."""
    signal.signal(signal.SIGALRM, hung)
    signal.alarm(HANGS_AFTER_SECONDS)
    try:
        suite = load_suite(path, preset)
        check_samples(suite)
        plan = make_plan(suite, path.parent / "results")
        json.dumps(plan.as_dict())
    except UserError as error:
        text = str(error)
        assert text.isprintable(), text
        assert text.endswith("."), text
        assert len(text) < 5_000
        # The suite's file, or one that the suite names.
        assert path.name in text or text.startswith(("/", "~", "http", ".")), text
        return text
    finally:
        signal.alarm(0)
    ids = [cell.id for cell in plan.cells]
    assert len(set(ids)) == len(ids) > 0
    assert ids == [cell.id for cell in make_plan(load_suite(path, preset), path.parent / "results").cells]
    assert math.isfinite(plan.seconds)
    assert plan.gmacs > 0
    return "plans"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "fuzzed.yaml"


@parts(PARTS)
def test_suites_of_the_own_vocabulary(part: int, file: Path, drawn: Tell) -> None:
    @seed(part)
    @settings(FUZZ, max_examples=150)
    @given(content=valid(), preset=st.sampled_from([None, None, "quick"]))
    def each(content: dict[str, Any], preset: str | None) -> None:
        file.write_bytes(spelt(content))
        event("plans" if outcome(file, preset) == "plans" else "refused")
        drawn("suites", 1)

    each()


@parts(PARTS)
def test_suites_that_are_nearly_valid(part: int, file: Path, drawn: Tell) -> None:
    @seed(part)
    @settings(FUZZ, max_examples=200)
    @given(content=nearly_valid(), preset=st.sampled_from([None, None, None, "quick"]))
    def each(content: dict[str, Any], preset: str | None) -> None:
        file.write_bytes(spelt(content))
        event("plans" if outcome(file, preset) == "plans" else "refused")
        drawn("suites", 1)

    each()


@parts(PARTS)
def test_garbage(part: int, file: Path, drawn: Tell) -> None:
    @seed(part)
    @settings(FUZZ, max_examples=150)
    @given(content=GARBAGE)
    def each(content: bytes) -> None:
        file.write_bytes(content)
        event("plans" if outcome(file) == "plans" else "refused")
        drawn("suites", 1)

    each()


@settings(FUZZ, derandomize=True, max_examples=20)
@given(content=nearly_valid().map(spelt) | GARBAGE)
def test_the_command_says_one_sentence(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    result = CliRunner().invoke(app, ["plan", str(file), "--results", str(file.parent / "results")])
    assert result.exception is None or isinstance(result.exception, UserError | SystemExit)
    if result.exception is None:
        assert result.output.count("cells, ") == 1
