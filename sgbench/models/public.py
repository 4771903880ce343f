"""Public checkpoints by name: family, size, address, licence. No torch.

Addresses are from the projects' own pages. No project publishes digests, so the sha256 of a fetched file is recorded
in a sidecar file and in every row.
"""

from pathlib import Path
from typing import NamedTuple

from sgbench.files.location import models_folder

SNAP = "Snap non-commercial research licence"
MIXED = "MIT; parts derived from DiT and EDM are non-commercial"
# Where the files are, or how their addresses begin.
SPRINT = "snap-research/SPRINT/sprint_XL"
MASKDIT = "https://slurm-ord.s3.amazonaws.com/ckpts"
BEST = f"{MASKDIT}/256/imagenet256-ckpt-best"
DIT = "https://dl.fbaipublicfiles.com/DiT/models"
DROPBOX = "https://www.dl.dropboxusercontent.com/scl/fi"
SIT = f"{DROPBOX}/as9oeomcbub47de5g4be0/SiT-XL-2-256.pt?rlkey=uxzxmpicu46coq3msb17b9ofa&dl=1"
REPA = f"{DROPBOX}/cxedbs4da5ugjq5wg3zrg/last.pt?rlkey=8otgrdkno0nd89po3dpwngwcc&st=apcc645o&dl=1"
MICRODIT = "VSehwag24/MicroDiT/ckpts/dit_4_channel"
# Notes.
ALL_TOKENS = "fine-tuned with all tokens"
WITH_REPA = f"{ALL_TOKENS}, trained with REPA"
GUIDED, UNGUIDED = "unmasked fine-tune, for CFG", "unmasked fine-tune, best without guidance"
MASKED = "trained with masking only: the subject for SG"
TEXT = "text to image"


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
        """Where the file is fetched to."""
        return models_folder() / self.name / self.file


def _named(name: str, family: str, resolution: int, source: str, licence: str, note: str = "") -> Public:
    file = source.rpartition("/")[2].partition("?")[0]
    return Public(name, family, "XL/2", resolution, source, file, licence, note)


PUBLIC = {
    public.name: public
    for public in (
        _named("sprint-xl-256", "sprint", 256, f"{SPRINT}_imagenet256.safetensors", SNAP, ALL_TOKENS),
        _named("sprint-xl-256-repa", "sprint", 256, f"{SPRINT}_REPA_imagenet256.safetensors", SNAP, WITH_REPA),
        _named("sprint-xl-512", "sprint", 512, f"{SPRINT}_imagenet512.safetensors", SNAP, ALL_TOKENS),
        _named("maskdit-xl-256-guided", "maskdit", 256, f"{BEST}_with_guidance.pt", MIXED, GUIDED),
        _named("maskdit-xl-256-unguided", "maskdit", 256, f"{BEST}_without_guidance.pt", MIXED, UNGUIDED),
        _named("maskdit-xl-256-masked", "maskdit", 256, f"{MASKDIT}/256/2000000.pt", MIXED, MASKED),
        _named("maskdit-xl-512-guided", "maskdit", 512, f"{MASKDIT}/512/1080000.pt", MIXED, GUIDED),
        _named("maskdit-xl-512-unguided", "maskdit", 512, f"{MASKDIT}/512/1050000.pt", MIXED, UNGUIDED),
        _named("mdtv2-xl-256", "mdtv2", 256, "shgao/MDT-XL2/mdt_xl2_v2_ckpt.pt", "Apache-2.0"),
        _named("dit-xl-256", "dit", 256, f"{DIT}/DiT-XL-2-256x256.pt", "CC-BY-NC 4.0"),
        _named("dit-xl-512", "dit", 512, f"{DIT}/DiT-XL-2-512x512.pt", "CC-BY-NC 4.0"),
        _named("sit-xl-256", "sit", 256, SIT, "MIT"),
        _named("repa-sit-xl-256", "repa-sit", 256, REPA, "MIT"),
        _named("microdit-512-real", "microdit", 512, f"{MICRODIT}_22M_real_only_data.pt", "Apache-2.0", TEXT),
        _named("microdit-512", "microdit", 512, f"{MICRODIT}_37M_real_and_synthetic_data.pt", "Apache-2.0", TEXT),
        _named("microdit-512-synthetic", "microdit", 512, f"{MICRODIT}_0.5B_synthetic_data.pt", "Apache-2.0", TEXT),
    )
}
