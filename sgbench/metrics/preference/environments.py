"""What judges run in: optional packages here, or an environment of their own where versions would clash with ours.

Environments are in $SGBENCH_ENVIRONMENTS, or `environments` in the models folder, one folder for each judge. A card is
written last, so an environment is either complete or absent.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from sgbench.base.atomic import write_atomic
from sgbench.base.errors import UserError
from sgbench.files.location import models_folder
from sgbench.metrics.instrument import Judge
from sgbench.metrics.judges.catalogue import judge_named

CARD = "sgbench.json"


def environments_folder() -> Path:
    """$SGBENCH_ENVIRONMENTS, or `environments` in the models folder."""
    return Path(os.environ.get("SGBENCH_ENVIRONMENTS") or models_folder() / "environments")


def check_installed(name: str, where: str) -> None:
    """Whether what a judge runs in is installed, without loading it. Raises UserError."""
    judge = judge_named(name)
    if judge.requirements:
        environment(name)
    absent = [package for package in judge.packages if importlib.util.find_spec(package) is None]
    if absent:
        raise UserError(
            f"{name} needs {' and '.join(absent)}, which {'is' if len(absent) == 1 else 'are'} not installed",
            where=where,
            fix=judge.install,
        )


def environment(name: str) -> Path:
    """The interpreter of a judge's environment. Raises UserError where it is missing or made for other versions."""
    judge = _needing(name)
    where = environments_folder() / name
    try:
        made_for = json.loads((where / CARD).read_text())["requirements"]
    except (OSError, ValueError, KeyError, TypeError):
        made_for = None
    if made_for == list(judge.requirements) and interpreter(where).is_file():
        return interpreter(where)
    raise UserError(
        f"{name} runs in an environment of its own ({', '.join(judge.requirements)}), which "
        + ("is missing" if made_for is None else "was made for other versions or has lost its Python"),
        where=str(where),
        fix=f"run `sgbench weights environment {name}`",
    )


def create_environment(name: str, folder: Path) -> Path:
    """Make `folder`/`name`, or make it again, with the requirements of a judge, and return its interpreter.

    pip installs from the index that it is set up for. Raises UserError, and leaves nothing behind, where it cannot;
    also for a judge that needs no environment, and for a folder of another kind.
    """
    requirements, where = list(_needing(name).requirements), folder / name
    if where.exists() and not (where / "pyvenv.cfg").is_file():
        raise UserError("the folder exists and is not an environment", where=str(where), fix="choose another folder")
    try:
        _run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(where)], where)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(interpreter(where))]
        _run([*pip, "install", "--quiet", *requirements], where)
        write_atomic(where / CARD, json.dumps({"requirements": requirements}).encode())
    except BaseException:
        shutil.rmtree(where, ignore_errors=True)
        raise
    return interpreter(where)


def interpreter(where: Path) -> Path:
    """Python inside an environment."""
    return where / "bin" / "python"


def _needing(name: str) -> Judge:
    judge = judge_named(name)
    if not judge.requirements:
        raise UserError(f"{name} needs no environment of its own", where="judge", fix="score with it as it is")
    return judge


def _run(command: list[str], where: Path) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        said = next(
            (line for line in lines if line.startswith("ERROR:")), lines[-1] if lines else "pip reported nothing"
        )
        raise UserError(
            f"the environment cannot be made ({said.removeprefix('ERROR:').strip()[:300]})",
            where=str(where),
            fix="fix what it names and run the command again",
        )
