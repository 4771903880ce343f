"""Record what diffusers' guiders make of two predictions.

    pip install diffusers kornia
    python tests/golden/record_guiders.py

Inputs are drawn, in float32, with sides that are powers of two: kornia pads others before it builds a pyramid.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import torch
from diffusers.guiders import FrequencyDecoupledGuidance, MagnitudeAwareGuidance
from safetensors.torch import save_file

FILE = Path(__file__).parent / "guiders" / "diffusers.safetensors"


def main() -> None:
    """Draw, combine, write."""
    strong, other = torch.randn(2, 2, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    weak = strong + 0.25 * other
    guiders = {
        "mambo-g": MagnitudeAwareGuidance(guidance_scale=10.0, alpha=8.0),
        "fdg": FrequencyDecoupledGuidance(guidance_scales=[10.0, 5.0]),
    }
    # Its norm takes packed latents (B, N, C) alone.
    packed = guiders["mambo-g"].forward(strong.flatten(2), weak.flatten(2)).pred
    made = {"mambo-g": packed.view_as(strong), "fdg": guiders["fdg"].forward(strong, weak).pred}
    versions = {name: metadata.version(name) for name in ("diffusers", "kornia", "torch")}
    FILE.parent.mkdir(exist_ok=True)
    tensors = {"strong": strong, "weak": weak, **made}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, FILE, versions)
    print(f"{FILE}: {FILE.stat().st_size} bytes, {versions}")


if __name__ == "__main__":
    main()
