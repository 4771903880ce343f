"""How fast this machine draws images and extracts features: measured, kept for a day, and used by plans. No torch.

A default would be wrong by a factor of three from one processor to the next, so `sgbench plan` and `sgbench bench` have
the packaged models of a suite measured before they first forecast with them (`measure.py`, a process of its own).
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from sgbench.base.atomic import write_atomic
from sgbench.base.processor import processor_name, usable_cores, vector_unit
from sgbench.base.progress import Progress
from sgbench.cells.cell import Cell
from sgbench.metrics.extractors import EXTRACTORS
from sgbench.metrics.protocols import extractor_of
from sgbench.metrics.references.catalogue import home_of
from sgbench.models import catalogue
from sgbench.suite.schema import Suite

# A measurement that has not come to an end by then says nothing that a forecast could use.
LONGEST_SECONDS = 180
# What else a machine does changes its pace.
HOLDS_SECONDS = 86_400


class Pace(NamedTuple):
    """What was measured on this machine; empty where nothing was."""

    models: dict[str, float]
    """GMACs per second, by model and dtype as `model_key` writes them."""
    extractors: dict[str, float]
    """Seconds per image, by extractor."""
    start_seconds: float | None = None
    """Of a process, until it has imported what it runs, scores and reports with."""
    device: str = ""
    threads: int = 0
    at: float = 0.0
    """When it was measured, in seconds since 1970."""


def model_key(cell: Cell) -> str:
    """What a pace of a model is kept under."""
    return f"{cell.model} {cell.dtype}"


def pace_file() -> Path:
    """$SGBENCH_PACE, or ~/.cache/sgbench/pace.json."""
    return Path(os.environ.get("SGBENCH_PACE") or Path.home() / ".cache" / "sgbench" / "pace.json")


def machine(device: str) -> str:
    """What a pace depends on beside the model; `device` as it is asked for, such as `auto`."""
    threads = os.environ.get("OMP_NUM_THREADS", "any number of")
    try:
        torch = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        torch = "none"
    processor = f"{processor_name()} ({vector_unit()}), {usable_cores()} cores, {threads} threads"
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
    return f"{platform.node()}, {processor}, {gpus} GPUs, torch {torch}, device {device}"


def known_pace(device: str = "auto") -> Pace:
    """What was measured on this machine within a day; a file that is absent or damaged holds nothing."""
    found = _read().get(machine(device))
    try:
        pace = Pace(**found) if isinstance(found, dict) else Pace({}, {})
        rates = [*pace.models.values(), *pace.extractors.values(), pace.start_seconds or 1.0]
        valid = all(isinstance(rate, float) and 0 < rate < math.inf for rate in rates)
        if (
            valid
            and isinstance(pace.device, str)
            and isinstance(pace.threads, int)
            and 0 <= time.time() - pace.at < HOLDS_SECONDS
        ):
            return pace
    except (TypeError, AttributeError):
        pass
    return Pace({}, {})


def extractors_of(suite: Suite) -> set[str]:
    """The extractors and judges that score a suite's images."""
    home = home_of(suite.reference) if suite.reference else ""
    return {extractor_of(metric, home) for metric in suite.metrics}


def measured_pace(suite: Suite, cells: Sequence[Cell], progress: Progress, device: str = "auto") -> Pace:
    """The pace of the packaged models and extractors of a suite, measured where that was not done within a day.

    One process measures at a time. Where it does not succeed, that is said, and a forecast goes on without it.
    """
    with suppress(OSError), _alone():
        return _measure(suite, cells, progress, device)
    return _measure(suite, cells, progress, device)


def _measure(suite: Suite, cells: Iterable[Cell], progress: Progress, device: str) -> Pace:
    known = known_pace(device)
    models: dict[str, Cell] = {}
    for cell in cells:
        if model_key(cell) not in known.models and catalogue.entry(cell.model).main.kind == "packaged":
            models.setdefault(model_key(cell), cell)
    extractors = sorted(name for name in extractors_of(suite) if _is_packaged(name) and name not in known.extractors)
    if not models and not extractors:
        return known
    names = [*(cell.model for cell in models.values()), *extractors]
    progress.say(f"measuring how fast this machine is today with {', '.join(names)}: less than a minute")
    asked = {
        "suite": suite.model_dump(mode="json"),
        "device": device,
        "models": list(models),
        "extractors": extractors,
        "started": time.time(),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "sgbench.plan.measure"],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            check=True,
            timeout=LONGEST_SECONDS,
        )
        found = Pace(**json.loads(done.stdout.splitlines()[-1]))
    except (subprocess.SubprocessError, ValueError, TypeError, LookupError, OSError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1:]
        progress.say(f"that did not succeed ({' '.join(said)}): the forecast takes what it lacks from other machines")
        return known
    if known.models or known.extractors:
        models_known, extractors_known = known.models | found.models, known.extractors | found.extractors
        found = found._replace(models=models_known, extractors=extractors_known, at=known.at)
    with suppress(OSError):
        write_atomic(pace_file(), json.dumps({**_read(), machine(device): found._asdict()}, indent=1).encode())
    return found


@contextmanager
def _alone() -> Iterator[None]:
    """Wait for other processes that measure: together, each would find a part of the pace."""
    pace_file().parent.mkdir(parents=True, exist_ok=True)
    with pace_file().with_name(".measuring").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_packaged(extractor: str) -> bool:
    return extractor in EXTRACTORS and EXTRACTORS[extractor].weights[0].packaged


def _read() -> dict[str, object]:
    try:
        document = json.loads(pace_file().read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
