"""MaskDiT: dropped tokens leave before the encoder; a learned embedding replaces them in a light decoder."""

import torch
from torch import Tensor, nn

from sgbench.guidance.perturbation import Perturbation
from sgbench.models.families.maskdit import MaskDiTArchitecture
from sgbench.networks import layers
from sgbench.networks.denoiser import ClassDenoiser


class OneHotEmbedder(nn.Module):
    """A linear map of the one-hot label, without bias: the null condition is the zero vector."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.classes = classes
        self.embedding_table = nn.Linear(classes, width, bias=False)

    def forward(self, labels: Tensor) -> Tensor:
        one_hot = nn.functional.one_hot(labels, self.classes + 1)[:, : self.classes]
        return self.embedding_table(one_hot.to(self.embedding_table.weight.dtype))


class MaskDiT(ClassDenoiser):
    """Denoiser of the `maskdit` family; see `networks/denoiser.py` for the contract."""

    architecture: MaskDiTArchitecture

    def __init__(self, architecture: MaskDiTArchitecture) -> None:
        super().__init__(architecture, OneHotEmbedder)
        a = architecture
        width, light, side = a.hidden_size, a.decoder_hidden_size, a.input_size // a.patch_size
        self.blocks = nn.ModuleList(
            layers.Block(layers.Attention(width, a.num_heads), width, width) for _ in range(a.depth)
        )
        self.decoder_layer = layers.FinalLayer(width, light, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, light))
        self.decoder_pos_embed = nn.Parameter(layers.sincos_positions(light, side), requires_grad=False)
        self.decoder_blocks = nn.ModuleList(
            layers.Block(layers.Attention(light, a.decoder_num_heads), light, width) for _ in range(a.decoder_depth)
        )
        self.final_layer = layers.FinalLayer(light, a.patch_size**2 * a.out_channels, width)
        layers.initialise(self)
        nn.init.normal_(self.mask_token, std=0.02)

    def run_blocks(self, h: Tensor, c: Tensor, tokens: Tensor | None, perturbation: Perturbation | None) -> Tensor:
        a = self.architecture
        if tokens is not None:
            h = layers.gather_tokens(h, tokens)
        h = self.decoder_layer(layers.run_stack(self.blocks, 0, perturbation, h, c), c)
        if tokens is not None:
            stand_in = self.mask_token.to(h.dtype).expand(h.shape[0], a.grid_tokens, -1)
            h = layers.scatter_tokens(stand_in, tokens, h)
        return layers.run_stack(self.decoder_blocks, a.depth, perturbation, h + self.decoder_pos_embed, c)
