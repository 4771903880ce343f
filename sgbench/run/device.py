"""Which device, and how to name it in a result."""

from __future__ import annotations

import torch

from sgbench.base.errors import UserError
from sgbench.base.processor import processor_name


def resolve_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` as a device. Raises UserError when it is not to be had."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(
            f"there is no device called {name!r}", where="--device", fix="use auto, cpu, cuda or cuda:N"
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"{name} was asked for, and torch sees {torch.cuda.device_count()} CUDA devices",
            where="--device",
            fix="use --device cpu, or install a driver",
        )
    return device


def describe_device(device: torch.device) -> dict[str, str | int]:
    """Name, kind and, on a CPU, the number of threads."""
    if device.type == "cuda":
        return {
            "type": "cuda",
            "name": torch.cuda.get_device_name(device),
            "threads": torch.get_num_threads(),
        }
    return {"type": device.type, "name": processor_name(), "threads": torch.get_num_threads()}
