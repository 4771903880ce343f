"""Fixtures shared by all tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

BASE: dict[str, Any] = {
    "suite": "tiny",
    "title": "A tiny suite",
    "seed": 3,
    "samples": 20,
    "labels": "balanced",
    "dtype": "float32",
    "reference": "fashion-mnist",
    "metrics": ["fd", "precision", "recall", "label_agreement"],
    "model": "fashion-routing",
    "sampler": {"name": "euler", "steps": 2},
    "sweep": [
        {"guidance": "cfg", "scale": 1.5},
        {"guidance": "sg", "gamma_strong": 0, "gamma_weak": [0.5, 0.9], "scale": 2},
    ],
}


@pytest.fixture(scope="session")
def suite_base() -> dict[str, Any]:
    """What the small suite file holds unless a test says otherwise."""
    return dict(BASE)


@pytest.fixture
def suite_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a small suite file, with keys replaced by the arguments; None removes a key."""

    def write(**changes: Any) -> Path:
        content = {key: value for key, value in {**BASE, **changes}.items() if value is not None}
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return write
