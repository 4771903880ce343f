"""Folders that look like reports."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def report(tmp_path: Path) -> Callable[..., Path]:
    """A report folder by its name; further keys stand in its report.json."""

    def make(name: str, files: tuple[str, ...] = ("frontier-gmacs.png", "gallery/a b.webp"), **record: Any) -> Path:
        folder = tmp_path / "reports" / name
        for file in ("index.html", *files):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(f"{name} {file}".encode())
        told = {"suite": name, "title": f"Title of {name}", "headline": ["First.", "Second."], "cells": 1234, **record}
        (folder / "report.json").write_text(json.dumps({"files": ["index.html", *files, "report.json"], **told}))
        return folder

    return make
