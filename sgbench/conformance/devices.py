"""The law of devices: what runs on a CPU runs on CUDA, and gives the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch

from sgbench.conformance.law import NotApplicableError
from sgbench.metrics.extract import exact_arithmetic

NAME: Final = "on CUDA it gives what it gives on a CPU"
# Kernels of two devices sum in other orders, and a run carries that on.
OF_A_DEVICE = 1e-3


@contextmanager
def other_device() -> Iterator[torch.device]:
    """CUDA without its fast modes. Raises NotApplicableError where there is none."""
    if not torch.cuda.is_available():
        raise NotApplicableError("there is no CUDA device")
    with exact_arithmetic():
        yield torch.device("cuda")
