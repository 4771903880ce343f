"""PRX as diffusers builds it, with routes: a text-to-image transformer whose words are keys and values in every block.

Prediction and clock are `velocity` (noise - image, t = 1 is noise). diffusers' PRXPipeline hands the transformer
timestep / 1000, which its flow-matching scheduler defines as the share sigma of noise in x = sigma noise +
(1 - sigma) image, and steps by x + (sigma' - sigma) * output: the output is dx / dsigma = noise - image.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sgbench.base.errors import UserError
from sgbench.guidance.perturbation import Perturbation
from sgbench.models.architectures import PRXArchitecture
from sgbench.networks.denoiser import Denoiser
from sgbench.networks.routing import RoutedBlocks

# Rotary positions are the one argument of a block with an entry per image token: (B, 1, N, d / 2, 2, 2).
PER_TOKEN = {"image_rotary_emb": 2}


class PRX(Denoiser):
    """Denoiser of the `prx` family around a diffusers PRXTransformer2DModel, whose blocks it takes over.

    Its condition is caption embeddings (B, L, caption_channels), or with a mask as `with_mask` adds it; B may be 1.
    """

    architecture: PRXArchitecture

    def __init__(self, architecture: PRXArchitecture, transformer: Any) -> None:
        super().__init__(architecture)
        self.routed = RoutedBlocks(transformer.blocks, architecture.routes, PER_TOKEN)
        transformer.blocks = nn.ModuleList([self.routed])
        self.transformer = transformer

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        condition: Tensor,
        tokens: Tensor | None = None,
        perturbation: Perturbation | None = None,
    ) -> Tensor:
        """Velocity (B, C, H, W). Raises UserError for a perturbation of attention and for words of another width."""
        if perturbation is not None and not perturbation.skips_blocks:
            raise UserError(
                "the attention of PRX cannot be perturbed",
                where="guidance",
                fix="choose a rule that skips blocks, or one without a perturbed branch",
            )
        words, mask = self._split(condition.expand(len(x), -1, -1))
        self.routed.tokens, self.routed.perturbation = tokens, perturbation
        try:
            return self.transformer(
                hidden_states=x, timestep=t, encoder_hidden_states=words, attention_mask=mask, return_dict=False
            )[0]
        finally:
            self.routed.tokens = self.routed.perturbation = None

    def _split(self, condition: Tensor) -> tuple[Tensor, Tensor | None]:
        """Words (B, L, C), and which of them are no padding (B, L) where the condition says so."""
        given, channels = condition.shape[-1], self.architecture.caption_channels
        if given == channels:
            return condition, None
        if given == channels + 1:
            return condition[..., :channels], condition[..., channels] > 0
        raise UserError(
            f"the captions have {given} channels and the network reads {channels}",
            where="text encoder",
            fix="encode them with the text encoder of the network's own pipeline",
        )


def with_mask(words: Tensor, mask: Tensor) -> Tensor:
    """Caption embeddings (B, L, C) and their mask (B, L), true for words, as one condition (B, L, C + 1)."""
    return torch.cat([words, mask.unsqueeze(-1).to(words.dtype)], dim=-1)


def random_prx(architecture: PRXArchitecture) -> PRX:
    """A freshly initialised network of the record's sizes. Raises UserError where diffusers is missing or too old."""
    try:
        from diffusers import PRXTransformer2DModel
    except ImportError as error:
        raise no_diffusers() from error
    a = architecture
    kind: Any = PRXTransformer2DModel
    transformer = kind(
        in_channels=a.in_channels,
        patch_size=a.patch_size,
        context_in_dim=a.caption_channels,
        hidden_size=a.hidden_size,
        mlp_ratio=a.mlp_ratio,
        num_heads=a.num_heads,
        depth=a.depth,
        axes_dim=list(a.axes_dim),
        theta=a.theta,
        time_factor=a.time_factor,
        time_max_period=a.time_max_period,
        bottleneck_size=a.bottleneck_size,
        resolution_embeds=a.resolution_embeds,
    )
    return PRX(a, transformer)


def no_diffusers() -> UserError:
    """What to say where the libraries behind PRX are not installed."""
    return UserError(
        "PRX needs diffusers 0.36 and transformers 4.57 or newer, and one of them is missing or too old",
        where="model",
        fix="pip install --upgrade 'sgbench[hf]'",
    )
