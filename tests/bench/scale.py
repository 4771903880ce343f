"""Suites and results trees at 1x, 4x and 16x: seconds and memory of each stage, and how they grow.

    python tests/bench/scale.py [--cells 102400] [--tree 10240] [--keep FOLDER]

Each stage runs in a process of its own, which reports its seconds without the start of Python and torch, and its peak
resident memory with them. A ratio of 4 between columns is linear growth. Cells are real ones of the embedded model with
gammas, scales and steps that differ; those of the tree hold 20 images each, with features, scores and pictures.
Aims: 100,000 cells expand in 10 s and 1 GiB; a tree of 10,000 cells opens, resumes and rebuilds its rows in 20 s.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from sgbench import api

GROWTH = (16, 4, 1)
SAMPLES = 20
SCALES = [round(1.2 + 0.2 * n, 1) for n in range(10)]
PLANNED_STEPS = [6 + 4 * n for n in range(20)]
TREE_STEPS = [6, 10]


def main() -> None:
    """Measure every stage at every size, largest last, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=102_400, help="cells that are planned")
    parser.add_argument("--tree", type=int, default=10_240, help="cells of the results tree")
    parser.add_argument("--keep", type=Path, help="write here instead of a temporary folder")
    parser.add_argument("--stage", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        measure(options.stage[0], Path(options.stage[1]))
        return
    print(f"{'stage':8}" + "".join(f"{f'1/{part}' if part > 1 else '1':>22}" for part in GROWTH) + "   growth")
    with tempfile.TemporaryDirectory() as temporary:
        root = options.keep or Path(temporary)
        for stage in STAGES:
            found = []
            for part in GROWTH:
                tree = stage not in ("expand", "plan")
                folder = root / f"{'tree' if tree else 'plan'}-{part}"
                write_suite(folder, (options.tree if tree else options.cells) // part, tree)
                if tree and not (folder / "results").is_dir():
                    child("write", folder)
                found.append(child(stage, folder))
            ratios = [b["seconds"] / a["seconds"] for a, b in itertools.pairwise(found)]
            columns = "".join(f"{f['cells']:>8} {f['seconds']:6.2f} s {f['mib']:5.0f}M" for f in found)
            print(f"{stage:8}{columns}   {' '.join(f'{ratio:.1f}' for ratio in ratios)}", flush=True)


def write_suite(folder: Path, cells: int, tree: bool) -> None:
    """A suite of about so many cells: two rules, pairs of gammas, scales, numbers of steps."""
    steps = TREE_STEPS if tree else PLANNED_STEPS
    each = math.isqrt(cells // (2 * len(SCALES) * len(steps)))
    suite = {
        "suite": "scale",
        "title": "Scale",
        "seed": 0,
        "samples": SAMPLES,
        "labels": "balanced",
        "dtype": "float32",
        "reference": "fashion-mnist",
        "metrics": ["fd", "precision"],
        "model": "fashion-routing",
        "sampler": {"name": "euler", "steps": 10},
        "sweep": [
            {
                "guidance": ["sg", "cfg+sg"],
                "scale": SCALES,
                "gamma_strong": [round(0.02 * n, 2) for n in range(each)],
                "gamma_weak": [round(0.5 + 0.02 * n, 2) for n in range(each)],
                "steps": steps,
            }
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "suite.yaml").write_text(yaml.safe_dump(suite))


def child(stage: str, folder: Path) -> dict[str, Any]:
    """Run one stage in a fresh process."""
    command = [sys.executable, __file__, "--stage", stage, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(stage: str, folder: Path) -> None:
    """Run a stage here and print what it took."""
    if stage not in ("expand", "plan"):
        import torch  # noqa: F401

        import sgbench.score.scorer  # noqa: F401
    suite = api.load_suite(folder / "suite.yaml", limit=1) if stage == "expand" else None
    started = time.perf_counter()
    cells = STAGES.get(stage, write)(folder)
    seconds = time.perf_counter() - started
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cells": cells, "seconds": seconds, "mib": mib, "warm": suite is not None}))


def expand(folder: Path) -> int:
    """Read the suite and expand it."""
    from sgbench.suite.load import load_suite
    from sgbench.suite.sweep import expand as expanded

    return len(expanded(load_suite(folder / "suite.yaml")))


def plan(folder: Path) -> int:
    """`sgbench plan`, up to printing, on an empty tree."""
    return len(api.make_plan(api.load_suite(folder / "suite.yaml"), folder / "none").cells)


def opened(folder: Path) -> int:
    """`sgbench plan` on the full tree."""
    found = api.make_plan(api.load_suite(folder / "suite.yaml"), folder / "results")
    assert found.images_kept == found.images
    return len(found.cells)


def resume(folder: Path) -> int:
    """`sgbench run` with nothing left to do: every shard is read and verified."""
    done = api.run_suite(api.load_suite(folder / "suite.yaml"), folder / "results", device="cpu")
    assert done.images_made == 0
    return done.cells


def rows(folder: Path) -> int:
    """`sgbench score` with nothing left to score: rows are built anew from the cells."""
    done = api.score_suite(api.load_suite(folder / "suite.yaml"), folder / "results", device="cpu")
    assert done.scored == 0
    return done.cells


def write(folder: Path) -> int:
    """A finished tree: images and scores are drawn by a generator, everything else is as a run writes it."""
    from scale_tree import write_tree  # beside this script

    os.fsync = lambda _: None  # type: ignore[assignment]  # a test tree need not survive a power cut
    return write_tree(folder / "suite.yaml", folder / "results")


STAGES: dict[str, Callable[[Path], int]] = {
    "expand": expand,
    "plan": plan,
    "open": opened,
    "resume": resume,
    "rows": rows,
}

if __name__ == "__main__":
    main()
