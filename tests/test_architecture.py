"""Arrows between the folders of the package point one way, and what promises to do without torch does."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sgbench

PACKAGE = Path(sgbench.__file__).parent
# What each folder may import besides itself and `base`. All that stands above it, so no cycle fits.
ARROWS = {
    "base": "",
    "stats": "",
    "files": "",
    "guidance": "",
    "samplers": "",
    "zoo": "",
    "models": "files guidance samplers zoo",
    "cells": "files guidance samplers models",
    "images": "files cells",
    "networks": "files guidance samplers zoo models",
    "metrics": "stats files zoo cells images networks",
    "suite": "files guidance samplers zoo models cells metrics",
    "results": "guidance models cells metrics suite",
    "plan": "guidance samplers models cells metrics suite results",
    "sampling": "guidance samplers zoo models cells networks",
    "cost": "guidance samplers models cells networks",
    "conformance": "guidance samplers zoo models cells images networks metrics sampling cost",
    "run": "guidance samplers models cells suite networks results sampling cost",
    "score": "stats guidance samplers zoo models cells images metrics suite results",
    "report": "stats guidance samplers zoo models cells metrics suite results score",
    "compare": "stats guidance cells metrics results report",
    "doctor": "files zoo cells metrics suite results score",
    "training": "zoo models networks",
    "measure": "guidance cells metrics suite plan sampling cost run score report",
    "api": "models cells networks conformance metrics suite results plan run score report compare doctor",
}
LAST = {"cli", "__main__", "__init__"}
WITHOUT_TORCH = "base stats files guidance samplers zoo models cells images suite results plan report compare cli api"


def imports(path: Path) -> Iterator[str]:
    """The folders that a file imports from, at its top, in its functions, or for types alone."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("sgbench."))


def folder_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def test_every_folder_has_its_arrows_and_they_point_backwards() -> None:
    folders = {folder_of(path) for path in PACKAGE.rglob("*.py")}
    assert folders == set(ARROWS) | LAST
    seen: set[str] = set()
    for folder, allowed in ARROWS.items():
        assert set(allowed.split()) <= seen, folder
        seen.add(folder)


def test_no_file_imports_against_the_arrows() -> None:
    against = [
        f"{path.relative_to(PACKAGE)} imports {target}"
        for path in PACKAGE.rglob("*.py")
        if (folder := folder_of(path)) not in LAST
        for target in imports(path)
        if target not in {folder, "base", *ARROWS[folder].split()}
    ]
    assert not against


def test_no_arrow_is_allowed_that_no_file_needs() -> None:
    for folder, allowed in ARROWS.items():
        files = [path for path in PACKAGE.rglob("*.py") if folder_of(path) == folder]
        needed = {target for path in files for target in imports(path)}
        assert set(allowed.split()) == needed - {folder, "base"}, folder


@pytest.mark.slow
def test_folders_that_promise_it_do_without_torch() -> None:
    modules = [
        ".".join(("sgbench", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        for folder in WITHOUT_TORCH.split()
        for path in sorted(PACKAGE.rglob("*.py"))
        if folder_of(path) == folder
    ]
    code = (
        f"import importlib, sys\nfor name in {modules!r}:\n    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, name"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
