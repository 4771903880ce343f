"""The wheel: what is in it, and that it works in an environment and a folder where nothing of the repository is."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
SUITES = {path.relative_to(ROOT).as_posix(): path for path in (ROOT / "suites").rglob("*.yaml")}
# Fewer have no distance.
IMAGES = 20
Run = Callable[..., str]

pytestmark = pytest.mark.full


def done(*command: str | Path, **options: object) -> str:
    """What a command prints, once it ended well."""
    ran = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert ran.returncode == 0, ran.stderr
    return str(ran.stdout)


def build(source: Path, folder: Path) -> Path:
    """The wheel of a folder or a source archive, built by what is installed here."""
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder)
    done(sys.executable, "-m", "pip", "wheel", *options, source)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel in it; what sgbench depends on is that of the running one."""
    folder = tmp_path_factory.mktemp("fresh")
    done(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    done(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel)
    (site,) = folder.glob("lib/python*/site-packages")
    # A .pth file in a folder that a .pth file names is not read: the checkout stays out.
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    return folder


@pytest.fixture
def installed(environment: Path, tmp_path: Path) -> Run:
    """Run a program of the fresh environment in an empty folder, with an empty home."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: os.environ[name] for name in ("OMP_NUM_THREADS", "TMPDIR") if name in os.environ}
    variables = {**kept, "PATH": os.defpath, "HOME": str(home)}
    folder = tmp_path / "empty"
    folder.mkdir()

    def run(program: str, *arguments: str) -> str:
        return done(environment / "bin" / program, *arguments, cwd=folder, env=variables)

    return run


def test_it_holds_every_suite_once_and_nothing_beside_the_package(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = archive.namelist()
        suites = [name for name in names if name.startswith("sgbench/suites/")]
        assert sorted(suites) == sorted(f"sgbench/{name}" for name in SUITES)
        for name in suites:
            content = archive.read(name)
            assert content == SUITES[name.removeprefix("sgbench/")].read_bytes()
    assert len(names) == len(set(names))
    assert {name.partition("/")[0] for name in names} == {"sgbench", f"sgbench-{version('sgbench')}.dist-info"}


def test_a_wheel_built_from_the_source_archive_is_the_same(wheel: Path, tmp_path: Path) -> None:
    done(sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", tmp_path, cwd=ROOT)
    (archive,) = tmp_path.glob("*.tar.gz")
    assert build(archive, tmp_path).read_bytes() == wheel.read_bytes()


def test_installed_without_the_repository_it_lists_copies_and_checks_suites(
    installed: Run, environment: Path, tmp_path: Path
) -> None:
    assert installed("python", "-c", "import sgbench; print(sgbench.__file__)").startswith(str(environment))
    assert installed("sgbench", "suites", "list") == done(sys.executable, "-m", "sgbench", "suites", "list", cwd=ROOT)
    installed("sgbench", "suites", "copy", "fashion-mnist")
    copied = tmp_path / "empty" / "fashion-mnist.yaml"
    assert copied.read_bytes() == (ROOT / "suites" / "fashion-mnist.yaml").read_bytes()
    by_name = installed("sgbench", "validate", "fashion-mnist")
    assert installed("sgbench", "validate", "./fashion-mnist.yaml") == by_name.replace("mnist", "mnist.yaml", 1)


def test_installed_without_the_repository_it_runs_a_suite_by_its_name(installed: Run, tmp_path: Path) -> None:
    told = installed("sgbench", "bench", "fashion-mnist", "--preset", "quick", "--limit", str(IMAGES))
    assert told.splitlines()[-1] == "report: reports/fashion-mnist/index.html"
    page = (tmp_path / "empty" / "reports" / "fashion-mnist" / "index.html").read_text()
    assert f"sgbench bench fashion-mnist --preset quick --limit {IMAGES}" in page
