"""The suite file, key by key. Strict: what is not described here is an error."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from sgbench.models.autoencoder_files import DEFAULT
from sgbench.models.spec import text_of


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _as_models(value: object) -> object:
    """A model may be written out as a mapping; its text form is its name from here on."""
    return [text_of(item) for item in value] if isinstance(value, list) else [text_of(value)]


Gamma = Annotated[float, Field(ge=0, lt=1)]
StepCount = Annotated[int, Field(gt=0, le=10_000)]
Scale = Annotated[float, Field(ge=1)]
Names = Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]
Models = Annotated[list[str], BeforeValidator(_as_models), Field(min_length=1)]
Scales = Annotated[list[Scale], BeforeValidator(_as_list), Field(min_length=1)]
Gammas = Annotated[list[Gamma], BeforeValidator(_as_list), Field(min_length=1)]
Steps = Annotated[list[StepCount], BeforeValidator(_as_list), Field(min_length=1)]
DType = Literal["float32", "bfloat16", "auto"]
SamplerName = Literal["euler", "edm-heun", "ddim"]
SamplerNames = Annotated[list[SamplerName], BeforeValidator(_as_list), Field(min_length=1)]
Metric = Literal["fd", "precision", "recall", "label_agreement"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SweepEntry(_Strict):
    """One grid: every combination of the listed values is a cell. A single value may stand without brackets."""

    guidance: Names = Field(description="guidance rules: none, cfg, icg, ag, sg, cfg+sg, ag+sg, pdg")
    model: Models | None = Field(default=None, description="models, where they differ from the suite's")
    scale: Scales | None = Field(default=None, description="w in weak + w (strong - weak)")
    gamma_strong: Gammas | None = Field(default=None, description="sparsity of the strong branch, in [0, 1)")
    gamma_weak: Gammas | None = Field(default=None, description="sparsity of the weak branch, in [0, 1)")
    sampler: SamplerNames | None = Field(default=None, description="samplers, where they differ from the suite's")
    steps: Steps | None = Field(default=None, description="sampler steps, where they differ from the suite's")


class SamplerSettings(_Strict):
    """How images are drawn."""

    name: SamplerName = "euler"
    steps: StepCount


class Preset(_Strict):
    """A variant of the suite: what is given here takes the place of the suite's own value."""

    samples: int | None = Field(default=None, gt=0)
    dtype: DType | None = None
    sweep: list[SweepEntry] | None = Field(default=None, min_length=1)


class Suite(_Strict):
    """A suite file after `preset` was applied."""

    suite: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", description="name; also that of its folders")
    title: str
    seed: int = Field(ge=0, lt=2**63)
    samples: int = Field(gt=0, description="images per cell")
    labels: Literal["balanced", "random"] = Field(
        default="balanced",
        description="balanced: image i asks for class i mod C; random: uniform over classes",
    )
    dtype: DType = Field(
        default="float32", description="bfloat16: matrix products under autocast, the state in float32"
    )
    reference: str = Field(
        default="", description="the real images that generated ones are compared with; needed by metrics"
    )
    metrics: list[Metric] = Field(description="scores; an empty list for work on throughput alone")
    autoencoder: str = Field(
        default=DEFAULT, description="what decodes latents: a folder, a hub id, or none; models of pixels need none"
    )
    model: Models = Field(description="models of every sweep entry that names none")
    sampler: SamplerSettings
    presets: dict[str, Preset] = Field(default_factory=dict)
    sweep: list[SweepEntry] = Field(min_length=1)
