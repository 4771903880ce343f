"""Fixtures shared by all tests, what is drawn and sliced of the long ones, and how workers share them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Before torch is imported: one thread for each worker of pytest-xdist, and for every process that a test starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
import yaml
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from sgbench.base.processor import usable_cores
from sgbench.base.registry import REGISTRIES
from sgbench.cells.program import _call_counts, program
from sgbench.cli.app import main
from sgbench.metrics import computer
from sgbench.metrics.extractors import EXTRACTORS
from sgbench.metrics.numerics.neighbours import Real, prepare_real
from sgbench.models import catalogue
from sgbench.models.architecture import Architecture
from sgbench.models.catalogue import Checkpoint, ModelInfo
from sgbench.models.embedded import recipe_names
from sgbench.models.families import FAMILIES
from sgbench.models.families.dit import DiTArchitecture
from sgbench.models.families.maskdit import MaskDiTArchitecture
from sgbench.models.families.mdtv2 import MDTv2Architecture
from sgbench.models.families.sprint import SprintArchitecture
from sgbench.networks.denoiser import Denoiser, build
from sgbench.plan import pace
from sgbench.report import build as build_report
from sgbench.report.figures.plotting import FORMATS
from sgbench.sampling.conditions import ClassConditions
from sgbench.sampling.networks import Networks
from tests import tiny_model

tiny_model.install()
# How long an example takes, and the first text that is drawn, depends on the machine.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

DRAWN = "drawn by chance"
Command = Callable[..., tuple[int, str, str]]
BASE: dict[str, Any] = {
    "suite": "tiny",
    "title": "A tiny suite",
    "seed": 3,
    "samples": 20,
    "labels": "balanced",
    "dtype": "float32",
    "reference": "fashion-mnist",
    "metrics": ["fd", "precision", "recall", "label_agreement"],
    "model": tiny_model.NAME,
    "sampler": {"name": "euler", "steps": 2},
    "sweep": [
        {"guidance": "cfg", "scale": 1.5},
        {"guidance": "sg", "gamma_strong": 0, "gamma_weak": [0.5, 0.9], "scale": 2},
    ],
}


@pytest.fixture(scope="session", autouse=True)
def paces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A pace for every packaged model, so that no test but that of measuring waits for one."""
    path = tmp_path_factory.mktemp("pace") / "pace.json"
    models = {
        f"{name} {dtype}": 20.0 for name in [tiny_model.NAME, *recipe_names()] for dtype in ("float32", "bfloat16")
    }
    measured = pace.Pace(models, dict.fromkeys(EXTRACTORS, 0.01), 5.0, "cpu", 1, time.time())
    path.write_text(json.dumps({pace.machine(device): measured._asdict() for device in ("auto", "cpu")}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SGBENCH_PACE", str(path))
        yield path


@pytest.fixture(scope="session", autouse=True)
def svg_alone() -> Iterator[None]:
    """Reports of tests hold figures as SVG alone, which pages need: PDF takes more than half of a report's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_report, "FORMATS", ("svg",))
        yield


@pytest.fixture(scope="session", autouse=True)
def radii_once() -> Iterator[None]:
    """Neighbours among the same 10,000 real images are found once, not for each test that asks for precision."""
    found: dict[tuple[str, str, tuple[int, ...]], Real] = {}

    def prepare(features: np.ndarray, device: torch.device, ks: tuple[int, ...]) -> Real:
        key = hashlib.sha256(np.ascontiguousarray(features)).hexdigest(), str(device), ks
        if key not in found:
            found[key] = prepare_real(features, device, ks)
        return found[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(computer, "prepare_real", prepare)
        yield


@pytest.fixture
def every_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports hold figures in every format, as those of users."""
    monkeypatch.setattr(build_report, "FORMATS", FORMATS)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slice", metavar="K/N", help="of the tests that are marked full, every N-th beginning with K.")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One for each core, but no more than the memory holds: a worker takes up to 3 GB."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return max(1, min(usable_cores(), int(memory / 3), 8))


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Mark what needs a browser, skip what needs a GPU, and take a slice of the full tests.

    Files with the most slow tests come first, so that none is left over at the end.
    """
    if config.getoption("--slice"):
        _keep_slice(config, items)
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
        if item.get_closest_marker("cuda") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
        assert (item.get_closest_marker("ray") is not None) == (_scope(item.nodeid) == "ray"), item.nodeid
    yield
    # Of those that are left once `-m` has chosen.
    weights: Counter[str] = Counter()
    for item in items:
        weights[_scope(item.nodeid)] += any(item.get_closest_marker(name) for name in ("slow", "full", "ray"))
    items.sort(key=lambda item: -weights[_scope(item.nodeid)])


def _scope(nodeid: str) -> str:
    """What one worker runs as a whole: a file, and all files of Ray, whose clusters find each other."""
    file = nodeid.partition("::")[0]
    return "ray" if re.search(r"/test_(ray_\w+|slurm)\.py$", file) else file


# Groups by mark, which pytest-xdist has of its own, do nothing with pytest 9.2 (pytest-xdist 3.8).
class ByFile(LoadScopeScheduling):
    """Hands out files in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return _scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """How tests are handed out to workers."""
    config.option.loadscopereorder = False
    return ByFile(config, log)


def _keep_slice(config: pytest.Config, items: list[pytest.Item]) -> None:
    found = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", config.getoption("--slice"))
    if found is None or int(found[1]) > int(found[2]):
        raise pytest.UsageError("--slice: give the slice and how many there are, such as 3/10")
    begin, count = int(found[1]) - 1, int(found[2])
    full = sorted((item for item in items if item.get_closest_marker("full")), key=lambda item: item.nodeid)
    kept = set(full[begin::count])
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


@pytest.fixture
def drawn(request: pytest.FixtureRequest) -> Callable[[str, int], None]:
    """Count what a test draws by chance; the counts of all tests are told at the end of the log."""

    def tell(what: str, count: int) -> None:
        request.node.user_properties.append((DRAWN, (what, count)))

    return tell


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how much of what is drawn by chance was drawn."""
    counts: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call":
                for name, value in report.user_properties:
                    if name == DRAWN:
                        counts[value[0]] += value[1]
    if counts:
        told = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))
        terminalreporter.write_line(f"drawn by chance: {told}")


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


# Networks small enough for property tests, under names that suites could use

Tiny = Callable[[str, int], tuple[str, Networks]]
SIZES = {"patch_size": 2, "in_channels": 4, "hidden_size": 16, "num_heads": 2, "num_classes": 5}


def architecture(family: str, side: int) -> Architecture:
    """A record of the family's kind with a few blocks; `side` is that of the input."""
    if family == "sprint":
        return SprintArchitecture(**SIZES, input_size=side, depth=4, encoder_depth=1, middle_depth=2, decoder_depth=1)
    if family == "maskdit":
        light = {"decoder_hidden_size": 8, "decoder_depth": 1, "decoder_num_heads": 2}
        return MaskDiTArchitecture(**SIZES, **light, input_size=side, depth=3)
    if family == "mdtv2":
        return MDTv2Architecture(**SIZES, input_size=side, out_channels=8, depth=5, decoder_depth=1)
    out, inner = 8 if family == "dit" else 4, 1 if family == "ig-sit" else None
    return DiTArchitecture(**SIZES, input_size=side, out_channels=out, depth=4, routes=((1, 2),), inner_block=inner)


def network(record: Architecture, seed: int) -> Denoiser:
    """With every parameter moved: modulation and output start at zero and would hide everything."""
    built = build(record).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for parameter in built.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.15)
    return built


@pytest.fixture(scope="module")
def tiny() -> Iterator[Tiny]:
    """A model of a family by (family, seed): its name in cells, its networks. The seed also decides the size."""
    made: dict[str, tuple[ModelInfo, Networks]] = {}
    real = catalogue.entry

    def make(family: str, seed: int) -> tuple[str, Networks]:
        name = f"tiny-{family}-{seed}"
        if name not in made:
            record = architecture(family, 8 if seed % 2 else 16)
            checkpoint = Checkpoint("random")
            entry = ModelInfo(name, name, FAMILIES[family], record, checkpoint, checkpoint, in_pixels=True)
            conditions = ClassConditions(SIZES["num_classes"], torch.device("cpu"))
            made[name] = entry, Networks(network(record, seed), network(record, seed + 1000), conditions)
        return name, made[name][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "entry", lambda name, where="": made[name][0] if name in made else real(name, where))
        yield make
    # What was worked out for these names must not outlive them.
    program.cache_clear()
    _call_counts.cache_clear()


@pytest.fixture
def sgbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process: its status, stdout and stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sgbench", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    return run


@pytest.fixture
def own_code() -> Iterator[None]:
    """What a test brings is gone after it: the registries are those of the process."""
    before = [(registry, dict(registry), dict(registry.origins)) for registry in REGISTRIES]
    yield
    for registry, things, origins in before:
        registry.clear()
        registry.update(things)
        registry.origins = origins
