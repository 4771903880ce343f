"""Users' files that keep the laws of their kind or break one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sgbench.cells.program import program
from sgbench.conformance.check import Subject, subjects
from sgbench.conformance.law import Law, judge
from sgbench.models.catalogue import entry
from tests.scoring import own_cache as own_cache

Found = Callable[..., dict[str, str]]


@pytest.fixture
def brought(tmp_path: Path, own_code: None) -> Iterator[Callable[[str, str], Subject]]:
    """Write a user's file and bring an object of it."""

    def bring(source: str, name: str) -> Subject:
        (tmp_path / "mine.py").write_text(source)
        (subject,) = subjects(f"mine.py:{name}", tmp_path)
        return subject

    yield bring
    # What was worked out for things of these names must not outlive them.
    program.cache_clear()
    entry.cache_clear()


@pytest.fixture
def broken(brought: Callable[[str, str], Subject]) -> Found:
    """The laws that an object of a user's file breaks, with what was found; `case` puts it where it is tried."""

    def find(
        source: str, name: str, case: Callable[[Any], Any] | None = None, laws: Sequence[Law[Any]] | None = None
    ) -> dict[str, str]:
        subject = brought(source, name)
        made = subject.kind.case(subject.thing) if case is None else case(subject.thing)
        verdicts = judge(subject.kind.laws if laws is None else laws, made, subject.files)
        return {verdict.law: verdict.detail for verdict in verdicts if verdict.outcome == "broken"}

    return find


def replaced(source: str, *changes: tuple[str, str]) -> str:
    """A source with parts of it replaced, each of which it has once."""
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    return source
