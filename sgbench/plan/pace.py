"""How fast this machine generates images and extracts features: measured, kept for a day, used by plans. No torch.

A default would be wrong by a factor of three from one processor to the next, so `sgbench plan` and `sgbench bench`
first measure the packaged models of a suite, with `python -m sgbench.measure`.
"""

import fcntl
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError

from sgbench.base.atomic import write_atomic
from sgbench.base.processor import processor_name, usable_cores, vector_unit
from sgbench.base.progress import Progress, Silent
from sgbench.cells.cell import Cell
from sgbench.metrics.extractors import EXTRACTORS
from sgbench.metrics.protocols import extractor_of
from sgbench.metrics.references.catalogue import home_of
from sgbench.models import catalogue
from sgbench.suite.schema import Suite
from sgbench.suite.sweep import expand

LONGEST_SECONDS = 180
# Other load on the machine changes its pace.
HOLDS_SECONDS = 86_400
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]


class Pace(NamedTuple):
    """What was measured on this machine; empty if nothing was."""

    models: dict[str, Rate]
    """GMACs per second, by model and dtype as `model_key` writes them."""
    extractors: dict[str, Rate]
    """Seconds per image, by extractor."""
    start_seconds: Rate | None = None
    """Seconds until a process has imported what it runs, scores and reports with."""
    device: str = ""
    threads: int = 0
    at: float = 0.0
    """When it was measured, in seconds since 1970."""


def model_key(cell: Cell) -> str:
    """The key of a model's pace."""
    return f"{cell.model} {cell.dtype}"


def pace_file() -> Path:
    """$SGBENCH_PACE, or ~/.cache/sgbench/pace.json."""
    return Path(os.environ.get("SGBENCH_PACE") or Path.home() / ".cache" / "sgbench" / "pace.json")


def machine(device: str) -> str:
    """What a pace depends on besides the model; `device` as the user gives it, such as `auto`."""
    threads = os.environ.get("OMP_NUM_THREADS", "any number of")
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = "none"
    processor = f"{processor_name()} ({vector_unit()}), {usable_cores()} cores, {threads} threads"
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
    return f"{platform.node()}, {processor}, {gpus} GPUs, torch {torch}, device {device}"


def known_pace(device: str = "auto") -> Pace:
    """What was measured on this machine within a day; empty if the file is missing or damaged."""
    try:
        pace = TypeAdapter(Pace).validate_python(_read().get(machine(device)))
    except ValidationError:
        return Pace({}, {})
    return pace if 0 <= time.time() - pace.at < HOLDS_SECONDS else Pace({}, {})


def extractors_of(suite: Suite) -> set[str]:
    """The extractors and judges that score a suite's images."""
    home = home_of(suite.reference) if suite.reference else ""
    return {extractor_of(metric, home) for metric in suite.metrics} - {""}


def measure_pace(suite: Suite, progress: Progress | None = None, device: str = "auto") -> Pace:
    """How fast this machine is with the packaged models and extractors of a suite, measured at most once a day.

    One process measures at a time. If measuring fails, `progress` says so and the forecast continues without it.
    """
    with suppress(OSError), _alone():
        return _measure(suite, progress or Silent(), device)
    return _measure(suite, progress or Silent(), device)


def _measure(suite: Suite, progress: Progress, device: str) -> Pace:
    known = known_pace(device)
    packaged_cells = (cell for cell in expand(suite) if catalogue.entry(cell.model).main.kind == "packaged")
    models = {model_key(cell): cell.model for cell in packaged_cells if model_key(cell) not in known.models}
    packaged = {name for name, entry in EXTRACTORS.items() if any(one.packaged for one in entry.weights)}
    extractors = sorted(extractors_of(suite) & packaged - known.extractors.keys())
    if not models and not extractors:
        return known
    names = ", ".join([*models.values(), *extractors])
    progress.say(f"measuring how fast this machine is today with {names}: less than a minute")
    request = {
        "suite": suite.model_dump(mode="json"),
        "own": suite.own,
        "device": device,
        "models": list(models),
        "extractors": extractors,
        "started": time.time(),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "sgbench.measure"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=True,
            timeout=LONGEST_SECONDS,
        )
        found = Pace(**json.loads(done.stdout.splitlines()[-1]))
    except (subprocess.SubprocessError, ValueError, TypeError, LookupError, OSError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1:]
        progress.say(f"measuring failed ({' '.join(said)}): the forecast uses values of other machines instead")
        return known
    if known.models or known.extractors:
        found = found._replace(
            models=known.models | found.models, extractors=known.extractors | found.extractors, at=known.at
        )
    with suppress(OSError):
        write_atomic(pace_file(), json.dumps({**_read(), machine(device): found._asdict()}, indent=1).encode())
    return found


@contextmanager
def _alone() -> Iterator[None]:
    """Wait for other processes that measure: measuring at the same time would slow all of them."""
    pace_file().parent.mkdir(parents=True, exist_ok=True)
    with pace_file().with_name(".measuring").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read() -> dict[str, object]:
    try:
        document = json.loads(pace_file().read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
