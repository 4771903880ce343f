"""Latents to images through diffusers' AutoencoderKL (extra `hf`)."""

from typing import Any

import torch
from torch import Tensor, nn

from sgbench.base.errors import UserError
from sgbench.files.digest import require_recorded
from sgbench.models.components import AUTOENCODER_WEIGHTS, NONE, OWN, find_folder, first_file, missing_autoencoder

# The decoder works at full resolution and needs far more memory per image than the denoiser.
BATCH = 8


class Decoder(nn.Module):
    """The decoding half of an autoencoder: latents (B, C, h, w) to images (B, 3, H, W) in [-1, 1].

    Scale and offset of the latents are the autoencoder's own.
    """

    def __init__(self, autoencoder: Any) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, latents: Tensor) -> Tensor:
        sizes = self.autoencoder.config
        # First the scale, then the offset, which only some have.
        unscaled = latents / sizes.scaling_factor + (getattr(sizes, "shift_factor", None) or 0.0)
        return self.autoencoder.decode(unscaled, return_dict=False)[0]


def load_decoder(name: str, device: torch.device) -> Decoder | None:
    """The decoder called `name` on `device`, in bfloat16 where a GPU has it; None for `none` and `own`.

    Raises UserError when diffusers or the weights are not on this machine.
    """
    if name in (NONE, OWN):
        return None
    file = first_file(find_folder(name), AUTOENCODER_WEIGHTS)
    if file is None:
        raise missing_autoencoder(name)
    require_recorded(file)
    try:
        from diffusers import AutoencoderKL
    except ImportError as error:
        fix = "pip install 'sgbench[hf]', or write `autoencoder: none` and no metrics for throughput work"
        what = "latent models are decoded by diffusers, which is not installed"
        raise UserError(what, where="autoencoder", fix=fix) from error
    kind: Any = AutoencoderKL
    try:
        loaded = kind.from_pretrained(file.parent, use_safetensors=True, local_files_only=True, low_cpu_mem_usage=False)
    except (OSError, ValueError, RuntimeError) as error:
        what = f"the autoencoder cannot be read ({str(error).splitlines()[0]})"
        raise UserError(what, where=str(file.parent), fix="fetch it again") from error
    dtype = torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    return Decoder(loaded).to(device, dtype).eval().requires_grad_(False)


@torch.inference_mode()
def decode(decoder: Decoder, latents: Tensor) -> Tensor:
    """Images float32 (N, 3, H, W) of latents (N, C, h, w), a few at a time."""
    dtype = next(decoder.parameters()).dtype
    parts = [decoder(part.to(dtype)).float() for part in latents.split(BATCH)]
    return torch.cat(parts)


def preview(latents: Tensor) -> Tensor:
    """The first three latent channels, one pixel each, in place of an image where there is no decoder."""
    return latents[:, :3] / 3
