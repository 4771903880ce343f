"""Public checkpoints by name: family, size, where the file is, under which licence. No torch.

Addresses were read off the projects' own pages; none of the projects publishes a digest, so what was fetched is
recorded with its sha256 beside the file and in every row.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sgbench.files.location import models_folder

SNAP = "Snap non-commercial research licence"
MASKDIT = "MIT; parts derived from DiT and EDM are non-commercial"
NON_COMMERCIAL = "CC-BY-NC 4.0"
MASKDIT_BUCKET = "https://slurm-ord.s3.amazonaws.com/ckpts"
DIT_HOST = "https://dl.fbaipublicfiles.com/DiT/models"
DROPBOX = "https://www.dl.dropboxusercontent.com/scl/fi"


class Public(NamedTuple):
    """One published checkpoint."""

    name: str
    family: str
    size: str
    resolution: int
    source: str
    """An https address, or OWNER/NAME/FILE on the Hugging Face hub."""
    file: str
    licence: str
    note: str = ""

    @property
    def path(self) -> Path:
        """Where the file is looked for and fetched to."""
        return models_folder() / self.name / self.file


def _sprint(name: str, resolution: int, file: str, note: str = "") -> Public:
    said = "fine-tuned with all tokens" + (f", {note}" if note else "")
    return Public(name, "sprint", "XL/2", resolution, f"snap-research/SPRINT/{file}", file, SNAP, said)


def _maskdit(name: str, resolution: int, file: str, note: str) -> Public:
    address = f"{MASKDIT_BUCKET}/{resolution}/{file}"
    return Public(name, "maskdit", "XL/2", resolution, address, file, MASKDIT, note)


def _microdit(name: str, resolution: int, file: str) -> Public:
    source = f"VSehwag24/MicroDiT/ckpts/{file}"
    return Public(name, "microdit", "XL/2", resolution, source, file, "Apache-2.0", "text to image")


PUBLIC: dict[str, Public] = {
    entry.name: entry
    for entry in (
        _sprint("sprint-xl-256", 256, "sprint_XL_imagenet256.safetensors"),
        _sprint("sprint-xl-256-repa", 256, "sprint_XL_REPA_imagenet256.safetensors", "trained with REPA"),
        _sprint("sprint-xl-512", 512, "sprint_XL_imagenet512.safetensors"),
        _maskdit("maskdit-xl-256-guided", 256, "imagenet256-ckpt-best_with_guidance.pt", "unmasked fine-tune, for CFG"),
        _maskdit(
            "maskdit-xl-256-unguided",
            256,
            "imagenet256-ckpt-best_without_guidance.pt",
            "unmasked fine-tune, best without guidance",
        ),
        _maskdit("maskdit-xl-256-masked", 256, "2000000.pt", "trained with masking only: the subject for SG"),
        _maskdit("maskdit-xl-512-guided", 512, "1080000.pt", "unmasked fine-tune, for CFG"),
        _maskdit("maskdit-xl-512-unguided", 512, "1050000.pt", "unmasked fine-tune, best without guidance"),
        Public(
            "mdtv2-xl-256",
            "mdtv2",
            "XL/2",
            256,
            "shgao/MDT-XL2/mdt_xl2_v2_ckpt.pt",
            "mdt_xl2_v2_ckpt.pt",
            "Apache-2.0",
        ),
        Public(
            "dit-xl-256",
            "dit",
            "XL/2",
            256,
            f"{DIT_HOST}/DiT-XL-2-256x256.pt",
            "DiT-XL-2-256x256.pt",
            NON_COMMERCIAL,
        ),
        Public(
            "dit-xl-512",
            "dit",
            "XL/2",
            512,
            f"{DIT_HOST}/DiT-XL-2-512x512.pt",
            "DiT-XL-2-512x512.pt",
            NON_COMMERCIAL,
        ),
        Public(
            "sit-xl-256",
            "sit",
            "XL/2",
            256,
            f"{DROPBOX}/as9oeomcbub47de5g4be0/SiT-XL-2-256.pt?rlkey=uxzxmpicu46coq3msb17b9ofa&dl=1",
            "SiT-XL-2-256.pt",
            "MIT",
        ),
        Public(
            "repa-sit-xl-256",
            "repa-sit",
            "XL/2",
            256,
            f"{DROPBOX}/cxedbs4da5ugjq5wg3zrg/last.pt?rlkey=8otgrdkno0nd89po3dpwngwcc&st=apcc645o&dl=1",
            "last.pt",
            "MIT",
        ),
        _microdit("microdit-512-real", 512, "dit_4_channel_22M_real_only_data.pt"),
        _microdit("microdit-512", 512, "dit_4_channel_37M_real_and_synthetic_data.pt"),
        _microdit("microdit-512-synthetic", 512, "dit_4_channel_0.5B_synthetic_data.pt"),
    )
}
