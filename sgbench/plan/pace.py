"""How fast this machine draws images and extracts features: measured, kept for the day, and used by plans. No torch.

A default would be wrong by a factor of three from one processor to the next, so `sgbench plan` and `sgbench bench` have
the packaged models of a suite measured before they first forecast with them (`measure.py`, a process of its own).
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sgbench.atomic import write_atomic
from sgbench.models import catalogue
from sgbench.processor import processor_name, usable_cores, vector_unit
from sgbench.progress import Progress
from sgbench.score import weights
from sgbench.score.extractors.catalogue import EXTRACTORS
from sgbench.score.protocols import extractor_of
from sgbench.score.reference_catalogue import home_of
from sgbench.suite.cell import Cell
from sgbench.suite.schema import Suite

# A measurement that has not come to an end by then says nothing that a forecast could use.
LONGEST_SECONDS = 180


class Pace(NamedTuple):
    """What was measured on this machine; empty where nothing was."""

    models: dict[str, float]
    """GMACs per second, by model and dtype as `model_key` writes them."""
    extractors: dict[str, float]
    """Seconds per image, by extractor."""
    start_seconds: float | None = None
    """Of a process, until it has imported what it runs, scores and reports with."""
    threads: int = 0
    day: str = ""
    """When it was measured: what else a machine does changes its pace."""


def today() -> str:
    """The day for which a pace holds."""
    return datetime.date.today().isoformat()


def model_key(cell: Cell) -> str:
    """What a pace of a model is kept under."""
    return f"{cell.model} {cell.dtype}"


def pace_file() -> Path:
    """$SGBENCH_PACE, or ~/.cache/sgbench/pace.json."""
    return Path(os.environ.get("SGBENCH_PACE") or Path.home() / ".cache" / "sgbench" / "pace.json")


def machine() -> str:
    """What a pace depends on beside the model."""
    threads = os.environ.get("OMP_NUM_THREADS", "any number of")
    try:
        torch = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        torch = "none"
    return f"{processor_name()} ({vector_unit()}), {usable_cores()} cores, {threads} threads, torch {torch}"


def known_pace() -> Pace:
    """What was measured on this machine today; a file that is absent or damaged holds nothing."""
    found = _read().get(machine())
    try:
        pace = Pace(**found) if isinstance(found, dict) else Pace({}, {})
        rates = [*pace.models.values(), *pace.extractors.values(), pace.start_seconds or 1.0]
        valid = all(isinstance(rate, float) and 0 < rate < math.inf for rate in rates) and isinstance(pace.threads, int)
        if valid and pace.day == today():
            return pace
    except (TypeError, AttributeError):
        pass
    return Pace({}, {})


def extractors_of(suite: Suite) -> set[str]:
    """The extractors and judges that score a suite's images."""
    home = home_of(suite.reference) if suite.reference else ""
    return {extractor_of(metric, home) for metric in suite.metrics}


def measure_what_is_unknown(suite: Suite, cells: Iterable[Cell], progress: Progress) -> None:
    """Have the packaged models and extractors of a suite measured that were not measured on this machine today.

    Where that does not succeed, forecasts go on without it and say so.
    """
    known = known_pace()
    models: dict[str, Cell] = {}
    for cell in cells:
        if model_key(cell) not in known.models and catalogue.entry(cell.model).main.kind == "packaged":
            models.setdefault(model_key(cell), cell)
    extractors = sorted(name for name in extractors_of(suite) if _is_packaged(name) and name not in known.extractors)
    if not models and not extractors:
        return
    names = [*(cell.model for cell in models.values()), *extractors]
    progress.say(f"measuring how fast this machine is today with {', '.join(names)}: less than a minute")
    asked: dict[str, object] = {
        "suite": suite.model_dump(mode="json"),
        "models": list(models),
        "extractors": extractors,
    }
    asked["started"] = time.time()
    with suppress(subprocess.SubprocessError, ValueError, TypeError, OSError):
        done = subprocess.run(
            [sys.executable, "-m", "sgbench.plan.measure"],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            check=True,
            timeout=LONGEST_SECONDS,
        )
        _keep(Pace(**json.loads(done.stdout.splitlines()[-1])))


def _is_packaged(extractor: str) -> bool:
    return extractor in EXTRACTORS and weights.known()[EXTRACTORS[extractor].weights].packaged


def _keep(found: Pace) -> None:
    known, document = known_pace(), _read()
    merged = found._replace(models=known.models | found.models, extractors=known.extractors | found.extractors)
    write_atomic(pace_file(), json.dumps({**document, machine(): merged._asdict()}, indent=1).encode())


def _read() -> dict[str, object]:
    try:
        document = json.loads(pace_file().read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
