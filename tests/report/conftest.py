"""Folders that look like reports, and a browser."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run", "--disable-quic"),
]


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


def _no_browser(why: str) -> NoReturn:
    if os.environ.get("SGBENCH_NEEDS_BROWSER"):
        pytest.fail(f"SGBENCH_NEEDS_BROWSER is set, and {why}")
    pytest.skip(why)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium. Where there is none, tests are skipped, and with SGBENCH_NEEDS_BROWSER set they fail."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _no_browser("playwright is not installed")
    executable = shutil.which("chromium")
    if executable is None:
        _no_browser("there is no chromium on PATH")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield launched
        launched.close()
