"""How an embedded model is trained: one YAML file per model under `zoo/configs`."""

from __future__ import annotations

from importlib import resources
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from sgbench.base.errors import UserError
from sgbench.models.architectures import TrainedArchitecture


class Training(BaseModel):
    """Hyper-parameters of one training run; a step sees `batch` images."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int
    steps: int = Field(gt=0)
    early_step: int = Field(gt=0, description="the EMA at this step is kept for autoguidance")
    batch: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(ge=0)
    decay_share: float = Field(ge=0, le=1, description="share of the steps in which the rate falls to zero")
    weight_decay: float = Field(ge=0)
    label_dropout: float = Field(ge=0, lt=1)
    ema_decay: float = Field(gt=0, lt=1)
    dtype: Literal["bfloat16", "float32"] = Field(default="bfloat16", description="of the forward and backward pass")
    masked_loss_weight: float = Field(
        default=1.0, ge=0, description="weight of the loss on tokens the encoder did not see (masking)"
    )


class Recipe(BaseModel):
    """Everything `sgbench zoo train NAME` needs to know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    summary: str
    architecture: TrainedArchitecture
    training: Training


def recipe_names() -> list[str]:
    """Names of the embedded diffusion models, in alphabetical order."""
    folder = resources.files("sgbench.zoo") / "configs"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


def load_recipe(name: str) -> Recipe:
    """The recipe of one embedded model. Raises UserError for an unknown name."""
    if name not in recipe_names():
        raise UserError(
            f"there is no embedded model {name!r}",
            where="NAME",
            fix=f"choose one of {', '.join(recipe_names())}",
        )
    text = (resources.files("sgbench.zoo") / "configs" / f"{name}.yaml").read_text()
    return Recipe.model_validate(yaml.safe_load(text))
