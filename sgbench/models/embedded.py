"""The models that this project trains: recipes under `zoo/configs`, the record of the text-to-image one. No torch."""

import math
from importlib import resources
from typing import Annotated, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from sgbench.base.choices import unknown
from sgbench.models.architecture import Conditions, Macs, RoutedArchitecture, SameChannels, block
from sgbench.models.families.dit import DiTArchitecture
from sgbench.models.families.maskdit import MaskDiTArchitecture


class TextDiTArchitecture(SameChannels, RoutedArchitecture):
    """A DiT over words and patches; the words come from a small text encoder and are never dropped."""

    network: ClassVar[str] = "sgbench.networks.textdit:TextDiT"
    conditions: ClassVar[Conditions] = "words"

    family: Literal["textdit"] = "textdit"
    words: int = Field(gt=0, description="size of the vocabulary, padding included")
    caption_tokens: int = Field(gt=0, description="words of a caption, padding included")
    text_depth: int = Field(gt=0, description="blocks of the text encoder")
    time_scale: float = Field(default=1.0, gt=0)

    @property
    def condition_shape(self) -> tuple[int, ...]:
        return (self.caption_tokens,)

    def block_macs(self, kept: int) -> list[Macs]:
        # Words are tokens that are never dropped.
        grid, words, width = self.grid_tokens, self.caption_tokens, self.hidden_size
        return self.routed(block(grid + words, width, width), block(kept + words, width, width))

    def other_macs(self, kept: int) -> Macs:
        """The text encoder, its final norm, and the map of the mean word."""
        words, width = self.caption_tokens, self.hidden_size
        return block(words, width, 0).times(self.text_depth).plus(Macs(width**2, 0, words * width))

    def image_attention(self, layer: int, kept: int) -> int:
        """Attention products of the image tokens; those of the words stay when the others are perturbed."""
        products = super().image_attention(layer, kept)
        seen = math.isqrt(products // (2 * self.hidden_size))
        return products - 2 * self.caption_tokens * seen * self.hidden_size


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
    """All that `sgbench zoo train NAME` needs to know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    summary: str
    architecture: Annotated[DiTArchitecture | MaskDiTArchitecture | TextDiTArchitecture, Field(discriminator="family")]
    training: Training


def recipe_names() -> list[str]:
    """Names of the embedded diffusion models, in alphabetical order."""
    folder = resources.files("sgbench.zoo") / "configs"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


def load_recipe(name: str) -> Recipe:
    """The recipe of one embedded model. Raises UserError for an unknown name."""
    if name not in recipe_names():
        raise unknown("embedded model", name, recipe_names(), "NAME")
    text = (resources.files("sgbench.zoo") / "configs" / f"{name}.yaml").read_text()
    return Recipe.model_validate(yaml.safe_load(text))
