"""DiT, dense or with TREAD routes: routed tokens skip the blocks of a route and are put back after it."""

from __future__ import annotations

from torch import Tensor, nn

from sgbench.guidance.perturbation import Perturbation
from sgbench.models.families.dit import DiTArchitecture
from sgbench.networks.layers import (
    Block,
    FinalLayer,
    PatchEmbed,
    TimestepEmbedder,
    gather_tokens,
    initialise,
    run_block,
    scatter_tokens,
    sincos_positions,
    unpatchify,
)


class LabelEmbedder(nn.Module):
    """One vector per class and one more for the null condition."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(classes + 1, width)

    def forward(self, labels: Tensor) -> Tensor:
        return self.embedding_table(labels)


class DiT(nn.Module):
    """Denoiser of the `dit` family; see `networks/denoiser.py` for the contract."""

    def __init__(self, architecture: DiTArchitecture) -> None:
        super().__init__()
        a = architecture
        self.architecture = a
        width = a.hidden_size
        self.x_embedder = PatchEmbed(a.patch_size, a.in_channels, width)
        self.t_embedder = TimestepEmbedder(width)
        self.y_embedder = LabelEmbedder(a.num_classes, width)
        self.pos_embed = nn.Parameter(sincos_positions(width, a.input_size // a.patch_size), requires_grad=False)
        self.blocks = nn.ModuleList(Block(width, a.num_heads, width) for _ in range(a.depth))
        self.final_layer = FinalLayer(width, a.patch_size**2 * a.out_channels, width)
        initialise(self)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        condition: Tensor,
        tokens: Tensor | None = None,
        change: Perturbation | None = None,
    ) -> Tensor:
        a = self.architecture
        h = self.x_embedder(x) + self.pos_embed
        c = self.t_embedder(t * a.time_scale) + self.y_embedder(condition)
        starts = {first for first, _ in a.routes} if tokens is not None else set()
        ends = {last for _, last in a.routes} if tokens is not None else set()
        waiting = h
        for index, block in enumerate(self.blocks):
            if tokens is not None and index in starts:
                waiting, h = h, gather_tokens(h, tokens)
            h = run_block(block, index, change, h, c)
            if tokens is not None and index in ends:
                h = scatter_tokens(waiting, tokens, h)
        return unpatchify(self.final_layer(h, c), a.patch_size, a.out_channels)
