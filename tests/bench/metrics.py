"""Our metrics against the installed oracles on the same features: ratios within one run, best of several.

    python tests/bench/metrics.py [--images 10000] [--width 2048] [--rounds 3]

Frechet: the reference's factor is kept, as it is for every cell of a suite; oracles take the reference's moments as
given, too. Precision and recall: the reference's radii are kept; oracles have no way to. Ours includes 20 jackknife
replicates in the line that says so, and the oracles none.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import resource
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sgbench.metrics.numerics.frechet import fit, frechet_distance, frechet_estimate, prepare_target
from sgbench.metrics.numerics.neighbours import density_coverage, precision_recall, prepare_real

warnings.simplefilter("ignore")


def best(function: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    """Least seconds of some calls, and what the last gave."""
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        found = function()
        seconds.append(time.perf_counter() - started)
    return min(seconds), found


def draw(images: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of correlated features, float32."""
    rng = np.random.default_rng(0)
    mixing = (rng.normal(size=(width, width)) / np.sqrt(width)).astype(np.float32)
    first, second = (rng.normal(size=(images, width)).astype(np.float32) @ mixing for _ in range(2))
    return first, second + np.float32(0.01)


def frechet(generated: np.ndarray, real: np.ndarray, rounds: int) -> None:
    """One distance from moments, then from features with its jackknife."""
    from cleanfid.fid import frechet_distance as clean_fid
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    ours, reference = fit(generated), fit(real)
    target = prepare_target(reference)
    seconds, value = best(lambda: frechet_distance(ours, target), rounds)
    print(f"Frechet, {real.shape[1]} features: ours {seconds:.2f} s, value {value:.12g}")
    both = [{"mu": g.mean, "sigma": g.covariance} for g in (ours, reference)]
    theirs, found = best(lambda: fid_statistics_to_metric(*both, False)["frechet_inception_distance"], 1)
    print(
        f"  torch-fidelity {theirs:.2f} s, {theirs / seconds:.1f} times as long, relative gap {found / value - 1:.1e}"
    )
    theirs, found = best(lambda: clean_fid(*ours, *reference), 1)
    print(f"  clean-fid {theirs:.2f} s, {theirs / seconds:.1f} times as long, relative gap {found / value - 1:.1e}")
    seconds, estimate = best(lambda: frechet_estimate(generated, target), 1)
    print(f"  from {len(generated):,} features with 20 replicates {seconds:.1f} s, error {estimate.standard_error:.2g}")


def counting(generated: np.ndarray, real: np.ndarray, rounds: int) -> None:
    """Precision and recall, density and coverage."""
    from prdc import compute_prdc
    from torch_fidelity.metric_prc import prc_features_to_metric

    # The oracles of this process come later: its high-water mark is ours until then.
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    prepared = prepare_real(real, torch.device("cpu"), (3, 5))
    seconds, (precision, recall) = best(lambda: precision_recall(generated, prepared), rounds)
    other, (density, coverage) = best(lambda: density_coverage(generated, prepared), rounds)
    above = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    shape = f"{len(generated):,} x {len(real):,} x {real.shape[1]:,}"
    print(f"precision and recall, {shape}: ours {seconds:.2f} s with 20 replicates, {above:.2f} GiB above the features")
    print(f"  {precision.value:.5f} {recall.value:.5f}; density and coverage {other:.2f} s more")
    tensors = [torch.from_numpy(x) for x in (generated, real)]
    theirs, found = best(lambda: prc_features_to_metric(*tensors, prc_neighborhood=3, verbose=False), 1)
    print(f"  torch-fidelity {theirs:.2f} s, {theirs / seconds:.1f} times as long")
    print(f"  {found['precision']:.5f} {found['recall']:.5f}")
    with contextlib.redirect_stdout(io.StringIO()):
        theirs, found = best(lambda: compute_prdc(real, generated, nearest_k=5), 1)
    print(f"  prdc (all four) {theirs:.2f} s, {theirs / (seconds + other):.1f} times as long as all four of ours")
    for name, ours in (("density", density), ("coverage", coverage)):
        print(f"  {name} {ours.value:.5f}, prdc {found[name]:.5f}")


def main() -> None:
    """Parse the options and run both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    generated, real = draw(options.images, options.width)
    counting(generated, real, options.rounds)
    frechet(generated, real, options.rounds)


if __name__ == "__main__":
    main()
