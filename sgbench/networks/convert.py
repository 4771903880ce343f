"""Convert any checkpoint to a safetensors file that holds the network's weights and nothing else."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from sgbench.base.errors import UserError
from sgbench.files.digest import sha256_of
from sgbench.networks.checkpoints import PickledObjectsError, pick_weights, read_content, save_weights

# What Python needs to find its libraries; no tokens, no proxies, no home.
INHERITED = ("PATH", "LD_LIBRARY_PATH")


def convert(path: Path, out: Path, trust_pickle: bool) -> dict[str, Any]:
    """Write the weights in `path` to `out`, values and dtypes as they are, and say what was done.

    A file that holds pickled objects is read only with `trust_pickle`, in a separate process: without the caller's
    environment, in an empty folder, with stdin closed and few resources. That contains accidents, but is not a
    security boundary: the process has the rights of the user who starts it.
    """
    if out.suffix != ".safetensors":
        fix = f"name it {out.with_suffix('.safetensors').name}"
        raise UserError("the output is a safetensors file", where=str(out), fix=fix)
    if out.resolve() == path.resolve():
        raise UserError("input and output are the same file", where=str(path), fix="give another name")
    try:
        weights, picked = pick_weights(read_content(path), str(path))
    except PickledObjectsError:
        if not trust_pickle:
            raise
        weights, picked = _unpickled(path, out.parent)
    digest = sha256_of(path)
    save_weights(weights, out, {"source": path.name, "source_sha256": digest, "picked": picked})
    return {
        "source": str(path),
        "source_sha256": digest,
        "out": str(out),
        "sha256": sha256_of(out),
        "bytes": out.stat().st_size,
        "picked": picked,
        "tensors": len(weights),
        "parameters": sum(tensor.numel() for tensor in weights.values()),
    }


def _unpickled(path: Path, folder: Path) -> tuple[dict[str, Tensor], str]:
    """The weights of a pickled file, read by a separate process, and a note of what it picked."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(prefix=".unpickle-", dir=folder)
    except OSError as error:
        what = f"the folder cannot be written ({error.strerror})"
        raise UserError(what, where=str(folder), fix="choose another output") from error
    with temporary as name:
        left = Path(name).resolve() / "weights.safetensors"
        command = [sys.executable, "-I", "-m", "sgbench.networks.unpickle", str(path.resolve()), str(left)]
        environment = {key: os.environ[key] for key in INHERITED if key in os.environ}
        done = subprocess.run(
            command,
            env=environment | {"HOME": name, "TMPDIR": name, "OMP_NUM_THREADS": "1"},
            cwd=name,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode or not left.is_file():
            fix = "install the package it names, if it names one, or save the bare state dict where it was made"
            raise UserError(f"the file could not be unpickled ({_reason(done)})", where=str(path), fix=fix)
        try:
            # The process ran code from the file: its output is read as carefully as any file.
            with safe_open(left, "pt") as stored:
                picked = (stored.metadata() or {}).get("picked", "")
            content = read_content(left)
        except (OSError, SafetensorError) as error:
            what = f"the file could not be unpickled ({error})"
            raise UserError(what, where=str(path), fix="do not trust it") from error
        # Mapped into memory by now, so the folder may go.
        return pick_weights(content, str(path))[0], picked


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return f"the process was ended by signal {-done.returncode} ({signal.strsignal(-done.returncode)})"
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else "the process left no weights"
