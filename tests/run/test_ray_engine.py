"""The Ray engine on a cluster of this machine: the images of one process, whatever dies on the way."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sgbench import api
from sgbench.base.errors import UserError
from sgbench.base.progress import Silent
from sgbench.cells.identity import cell_id
from sgbench.results.claims import Claims
from sgbench.results.store import Store
from sgbench.run import engines, ray_cluster, ray_engine, ray_worker
from sgbench.run.engines import Engine, Ray, chosen_engine
from sgbench.run.ray_cluster import connected
from sgbench.run.shards import shard_claim
from sgbench.suite.sweep import expand
from tests import own_models, tiny_model, warm

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SUITE = """
suite: s
title: s
seed: 3
samples: 288
reference: fashion-mnist
metrics: [fd]
model: fashion-routing
sampler: {name: euler, steps: 1}
sweep: [{guidance: none}, {guidance: ag, scale: 1.5}]
"""


class Heard(Silent):
    """Progress, as a driver hears it."""

    def __init__(self) -> None:
        self.advanced = 0
        self.doing: list[str] = []
        self.lines: list[str] = []

    def advance(self, amount: int, doing: str) -> None:
        self.advanced += amount
        self.doing.append(doing)

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """One cluster for all tests: runs use the one that the process is connected to."""
    with connected(Ray(), "cpu"):
        yield


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suite") / "s.yaml"
    path.write_text(SUITE)
    return path


@pytest.fixture(scope="module")
def alone(file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tree of one process with one thread."""
    results = tmp_path_factory.mktemp("alone")
    alone_in(results, file)
    return tree(results)


def alone_in(results: Path, file: Path, *options: str) -> None:
    """A run without Ray, in a process of one thread."""
    warm.run(tiny_model.__file__, "run", file, "--device", "cpu", "--results", results, *options, check=True)


def tree(results: Path) -> dict[str, bytes]:
    """What does not depend on the time that it took."""
    kinds = ("*.npy", "gallery.png", "cell.json")
    found = (path for kind in kinds for path in sorted(results.rglob(kind)))
    return {str(path.relative_to(results)): path.read_bytes() for path in found}


def run(file: Path, results: Path, limit: int | None = None, **more: Any) -> Any:
    return api.run_suite(api.load_suite(file, limit=limit), results, ray=Ray(), **more)


class Killer(threading.Thread):
    """Kills workers in the middle of their tasks: the first `most`, from when `begin` holds."""

    def __init__(self, below: Any, most: int, begin: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self.own, self.most, self.begin = below(os.getpid()), most, begin
        self.killed: set[int] = set()
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set() and len(self.killed) < self.most:
            if self.begin():
                for worker in self.own.at_work()[:1]:
                    os.kill(worker, signal.SIGKILL)
                    self.killed.add(worker)
            time.sleep(0.05)

    def __enter__(self) -> Killer:
        self.start()
        return self

    def __exit__(self, *arguments: object) -> None:
        self.over.set()
        self.join()


def test_a_worker_that_is_killed_costs_nothing_but_time(
    file: Path, alone: dict[str, bytes], below: Any, tmp_path: Path
) -> None:
    heard = Heard()
    with Killer(below, 1, lambda: list(tmp_path.rglob("*.npy"))) as killer:
        done = run(file, tmp_path, progress=heard)
    assert len(killer.killed) == 1
    # The worker may die between writing its shard and reporting it: the shard is then found by the next attempt.
    assert done.images_kept in (0, 96, 240)
    assert (done.images_made + done.images_kept, done.failed) == (576, ())
    assert heard.advanced == 576
    assert "images/s in all" in "".join(heard.doing)
    assert tree(tmp_path) == alone
    # Nothing is left of the driver's own files, and the same command has nothing to do.
    assert not list(tmp_path.rglob(".*.tmp"))
    again = run(file, tmp_path)
    assert (again.images_made, again.images_kept) == (0, 576)
    assert all(Store(tmp_path, "s").read_record(cell, "cost") for cell in expand(api.load_suite(file)))


def test_what_one_process_began_workers_complete(file: Path, alone: dict[str, bytes], tmp_path: Path) -> None:
    alone_in(tmp_path, file, "--limit", "100")
    # A picture that is gone is made without any image.
    store, (first, *_) = Store(tmp_path, "s"), expand(api.load_suite(file))
    (store.cell_folder(first) / "gallery.png").unlink()
    assert run(file, tmp_path, limit=100).images_made == 0
    assert store.read_picture(first, "gallery") is not None
    done = run(file, tmp_path)
    assert (done.images_made, done.images_kept) == (576 - 200, 200)
    assert tree(tmp_path) == alone


def test_a_cell_whose_numbers_fail_leaves_the_others_alone(file: Path, alone: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SUITE.replace("scale: 1.5", "scale: [1.5, 3.0e+38]"))
    heard = Heard()
    done = run(path, tmp_path / "r", progress=heard)
    (failure,) = done.failed
    assert "not finite in step 1 of 1" in failure.reason
    assert done.images_made == 576
    assert any(line.startswith("failed: ") for line in heard.lines)
    bad = f"s/cells/{failure.cell}/"
    assert {name: data for name, data in tree(tmp_path / "r").items() if not name.startswith(bad)} == alone
    assert Store(tmp_path / "r", "s").read_record(expand(api.load_suite(path))[-1], "failure") is not None


def test_a_shard_that_takes_too_long_ends_its_worker_and_fails_its_cell(file: Path, tmp_path: Path) -> None:
    done = run(file, tmp_path, limit=240, shard_timeout=0.02)
    assert len(done.failed) == 2
    assert all(failure.reason == "shard 0 was not finished in 0.02 seconds on cpu" for failure in done.failed)
    again = run(file, tmp_path, limit=240)
    assert (again.images_made, again.failed) == (480, ())
    assert not list(tmp_path.rglob("failure.json"))


def test_a_shard_whose_workers_die_each_time_fails_its_cell(below: Any, tmp_path: Path) -> None:
    with Killer(below, 100, lambda: True) as killer:
        path = tmp_path / "s.yaml"
        path.write_text(SUITE.partition("sweep")[0] + "sweep: [{guidance: none}]\n")
        done = run(path, tmp_path, limit=240)
    assert len(killer.killed) >= ray_engine.ATTEMPTS
    (failure,) = done.failed
    assert failure.reason.startswith("shard 0 was tried 4 times, and its worker died each time (")
    assert run(path, tmp_path, limit=240).failed == ()


def test_a_shard_that_another_process_is_at_is_waited_for(file: Path, tmp_path: Path) -> None:
    suite = api.load_suite(file, limit=24)
    cell = expand(suite)[0]
    heard = Heard()
    results: list[Any] = []
    with Claims(Store(tmp_path, "s").folder).held(shard_claim(cell, 0)) as mine:
        assert mine
        # In a process of its own the claim is another's; the driver itself claims nothing.
        work = threading.Thread(
            target=lambda: results.append(api.run_suite(suite, tmp_path, ray=Ray(), progress=heard))
        )
        work.start()
        deadline = time.monotonic() + 120
        while not any(line.startswith("waiting for another process") for line in heard.lines):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert cell_id(cell) not in {path.parts[-3] for path in tmp_path.rglob("*.npy")}
    work.join(120)
    assert results[0].images_made == 48


def test_workers_of_another_version_are_refused(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_engine, "provenance", lambda: {**ray_worker.provenance(), "sgbench": "0.0.1"})
    with pytest.raises(UserError, match=r"it has sgbench \S+, but .* started the run has 0\.0\.1; install"):
        run(file, tmp_path, limit=24)
    assert not list(tmp_path.rglob("*.npy"))
    assert not list(tmp_path.rglob(".*.tmp"))


def test_a_folder_that_a_worker_does_not_see_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_worker, "SEEN_SECONDS", 0.5)
    unseen = ray_worker.Job(
        tmp_path / "s", 1, "cpu", None, None, 1, ".mark", ".stop", tmp_path, {}, ray_worker.provenance()
    )
    cell = None
    done = ray_worker.work(unseen, ray_worker.Unit(cell, "", None, None))  # type: ignore[arg-type]
    assert done.refused is not None
    what, where, fix = done.refused
    assert what.endswith("does not see this folder as the machine that started the run does")
    assert where == str(tmp_path / "s")
    assert "a file system that all machines share" in fix


@pytest.mark.parametrize(
    ("settings", "device", "sentence"),
    [
        (Ray(), "cuda", "--device: the Ray cluster has no GPU; add a node with a GPU, or use auto or cpu."),
        (Ray(), "cuda:1", "--device: Ray assigns the GPUs, so 'cuda:1' cannot be chosen; use auto, cpu or cuda."),
        (Ray(None, 4096), "cpu", "--threads-per-worker: a worker needs 4096 CPUs, but no node"),
    ],
)
def test_workers_that_cannot_be_had_are_refused(settings: Ray, device: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught, connected(settings, device):
        pass
    assert str(caught.value).startswith(sentence)


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"Ray is not installed; run `pip install 'sgbench\[ray\]'`"):
        chosen_engine(Engine.RAY, None, None)


def test_options_of_ray_belong_to_ray() -> None:
    assert chosen_engine(Engine.RAY, "auto", 2) == engines.Ray("auto", 2)
    assert chosen_engine(Engine.LOCAL, None, None) is None
    with pytest.raises(UserError, match=r"--address: this option needs the engine ray; add --engine ray"):
        chosen_engine(Engine.LOCAL, "auto", None)


def test_an_address_where_nothing_answers_is_refused() -> None:
    with pytest.raises(UserError, match=r"--address 127\.0\.0\.1:1: nothing answers there"):
        ray_cluster._probe("127.0.0.1:1")


@pytest.mark.usefixtures("own_code")
def test_workers_get_the_file_of_a_users_model(tmp_path: Path) -> None:
    model = {"custom": "mine.py:Model", "options": {"depth": 1}, "weights": "random"}
    suite = own_models.write(tmp_path, model=model)
    alone_in(tmp_path / "alone", suite)
    done = run(suite, tmp_path / "ray", device="cpu")
    assert (done.images_made, done.failed) == (90, ())
    assert tree(tmp_path / "ray") == tree(tmp_path / "alone")


OWN_RULE = """
from local_formula import half
from sgbench.guidance.branches import Branch, Rule

RULE = Rule("half-cfg", weak=Branch(condition="null"), combine=half)
"""
OWN_FORMULA = """
def half(predictions, step):
    return (predictions["strong"] + predictions["weak"]) / 2
"""


@pytest.mark.usefixtures("own_code")
def test_workers_get_the_users_files_with_the_work(tmp_path: Path) -> None:
    """The files are gone when the workers begin: they have them from the driver, by their digest."""
    path = tmp_path / "own.yaml"
    path.write_text(SUITE.replace("{guidance: none}, {guidance: ag,", '{guidance: "mine.py:RULE",'))
    files = {"mine.py": OWN_RULE, "local_formula.py": OWN_FORMULA}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    alone_in(tmp_path / "alone", path, "--limit", "24")
    suite = api.load_suite(path, limit=24)
    with pytest.MonkeyPatch.context() as patch:
        packed = ray_engine.packed_own

        def packed_and_gone(own: Any) -> Any:
            found = packed(own)
            for name in files:
                (tmp_path / name).unlink()
            return found

        patch.setattr(ray_engine, "packed_own", packed_and_gone)
        done = api.run_suite(suite, tmp_path / "ray", ray=Ray())
    assert (done.images_made, done.failed) == (24, ())
    assert tree(tmp_path / "ray") == tree(tmp_path / "alone")
