"""Joules of a stretch of work, from the driver's own counter on NVIDIA devices; None elsewhere."""

from __future__ import annotations

import torch


class EnergyMeter:
    """Reads NVML's total-energy counter. The counter is refreshed every 20 to 100 ms: measure whole shards."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._handle = None
        if device.type != "cuda":
            return
        try:
            import pynvml
        except ImportError:
            return
        pynvml.nvmlInit()
        uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        self._handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)

    def joules(self) -> float | None:
        """Energy since the driver was loaded; take the difference of two readings."""
        if self._handle is None:
            return None
        import pynvml

        torch.cuda.synchronize(self._device)
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1000
