"""PRX as diffusers builds it, with routes: a text-to-image transformer whose words are keys and values in every block.

Prediction and clock are `velocity` (noise - image, t = 1 is noise). diffusers' PRXPipeline hands the transformer
timestep / 1000, which its flow-matching scheduler defines as the share sigma of noise in x = sigma noise +
(1 - sigma) image, and steps by x + (sigma' - sigma) * output: the output is dx / dsigma = noise - image.
"""

from typing import Any

import torch
from torch import Tensor, nn

from sgbench.base.errors import UserError
from sgbench.guidance.perturbation import Perturbation
from sgbench.models.families.prx import PRXArchitecture
from sgbench.networks.denoiser import Denoiser
from sgbench.networks.routing import RoutedBlocks

# Rotary positions are the one argument of a block with an entry per image token: (B, 1, N, d / 2, 2, 2).
PER_TOKEN = {"image_rotary_emb": 2}
# Fields of the record that are not sizes of diffusers' constructor; it calls all others as the record does.
OWN_FIELDS = {"family", "input_size", "trained_gamma", "caption_channels", "caption_tokens", "routes"}


class PRX(Denoiser):
    """Denoiser of the `prx` family around a diffusers PRXTransformer2DModel, whose blocks it takes over.

    Its condition is caption embeddings (B, L, caption_channels), with one more channel where `with_mask` added a mask;
    B may be 1.
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
            fix = "choose a rule that skips blocks, or one without a perturbed branch"
            raise UserError("the attention of PRX cannot be perturbed", where="guidance", fix=fix)
        words, mask = self._split(condition.expand(len(x), -1, -1))
        self.routed.tokens, self.routed.perturbation = tokens, perturbation
        try:
            return self.transformer(
                hidden_states=x, timestep=t, encoder_hidden_states=words, attention_mask=mask, return_dict=False
            )[0]
        finally:
            self.routed.tokens = self.routed.perturbation = None

    def _split(self, condition: Tensor) -> tuple[Tensor, Tensor | None]:
        """Words (B, L, C), and the mask of those that are not padding (B, L) where there is one."""
        given, channels = condition.shape[-1], self.architecture.caption_channels
        if given == channels:
            return condition, None
        if given == channels + 1:
            return condition[..., :channels], condition[..., channels] > 0
        what = f"the captions have {given} channels and the network reads {channels}"
        fix = "encode them with the text encoder of the network's own pipeline"
        raise UserError(what, where="text encoder", fix=fix)


def with_mask(words: Tensor, mask: Tensor) -> Tensor:
    """Caption embeddings (B, L, C) and their mask (B, L), true for words, as one condition (B, L, C + 1)."""
    return torch.cat([words, mask.unsqueeze(-1).to(words.dtype)], dim=-1)


def random_prx(architecture: PRXArchitecture) -> PRX:
    """A freshly initialised network of the record's sizes. Raises UserError where diffusers is missing or too old."""
    try:
        from diffusers import PRXTransformer2DModel
    except ImportError as error:
        raise no_diffusers() from error
    kind: Any = PRXTransformer2DModel
    sizes = architecture.model_dump(mode="json", exclude=OWN_FIELDS)
    return PRX(architecture, kind(**sizes, context_in_dim=architecture.caption_channels))


def no_diffusers() -> UserError:
    """The refusal where the libraries behind PRX are not installed."""
    what = "PRX needs diffusers 0.36 and transformers 4.57 or newer, and one of them is missing or too old"
    return UserError(what, where="model", fix="pip install --upgrade 'sgbench[hf]'")
