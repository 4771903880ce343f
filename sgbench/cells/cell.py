"""A cell: one point of the sweep, frozen and hashable, with nothing in it that does not change the images."""

from __future__ import annotations

from typing import Literal, NamedTuple

from sgbench.cells.prompts import load_prompts
from sgbench.guidance.settings import Guidance
from sgbench.models import catalogue
from sgbench.samplers.settings import Sampler

LabelPolicy = Literal["balanced", "random"]
DType = Literal["float32", "bfloat16"]
Compiled = Literal["none", "default", "cuda-graphs"]


class Cell(NamedTuple):
    """Everything an image depends on except its index."""

    model: str
    guidance: Guidance
    sampler: Sampler
    seed: int
    labels: LabelPolicy
    dtype: DType
    autoencoder: str = ""
    """What decodes latents: a folder, a hub id or `none`; empty for pixel-space models."""
    compile: Compiled = "none"
    """How torch compiles the network, if at all: fused kernels round differently."""
    prompts: str = ""
    """The prompt set of a text-to-image model, by name, file or address; empty for class-conditional models."""
    text_encoder: str = ""
    """What encodes prompts, for models without a text encoder of their own: a file or a hub id."""
    own: tuple[tuple[str, str], ...] = ()
    """Kind and name, and sha256 of the code, of each rule, sampler and model that does not come with sgbench."""

    @property
    def num_conditions(self) -> int:
        """Classes of the model, or prompts of the cell's set. Raises UserError where the prompts are missing."""
        return len(load_prompts(self.prompts).prompts) if self.prompts else catalogue.entry(self.model).classes

    def unguided(self) -> Cell:
        """The dense unguided cell of the same seeds: what LPIPS compares with."""
        others = tuple((key, sha256) for key, sha256 in self.own if not key.startswith("guidance rule "))
        return self._replace(guidance=Guidance("none"), own=others)

    def describe(self) -> str:
        """The cell in a few words, for progress lines and error messages."""
        return " ".join(part for part in (self.model, self.guidance.rule, self.guidance.describe()) if part) + (
            f" {self.sampler.describe()}"
        )
