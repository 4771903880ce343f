"""DiT, dense or with TREAD routes: routed tokens skip the blocks of a route and are put back after it.

It may have an inner head, a second last layer that predicts from the states after one of its blocks (Internal Guidance,
arXiv 2512.24176).
"""

from torch import Tensor, nn

from sgbench.guidance.perturbation import Perturbation
from sgbench.models.families.dit import DiTArchitecture
from sgbench.networks.denoiser import ClassDenoiser
from sgbench.networks.layers import Attention, Block, FinalLayer, initialise
from sgbench.networks.routing import run_observed


class DiT(ClassDenoiser):
    """Denoiser of the `dit` family; see `networks/denoiser.py` for the contract."""

    architecture: DiTArchitecture

    def __init__(self, architecture: DiTArchitecture) -> None:
        super().__init__(architecture)
        a, width = architecture, architecture.hidden_size
        self.blocks = nn.ModuleList(Block(Attention(width, a.num_heads), width, width) for _ in range(a.depth))
        self.final_layer = FinalLayer(width, a.patch_size**2 * a.out_channels, width)
        if a.has_inner_head:
            self.final_layer_xr = FinalLayer(width, a.patch_size**2 * a.out_channels, width)
        initialise(self)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        condition: Tensor,
        tokens: Tensor | None = None,
        perturbation: Perturbation | None = None,
        inner: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        a = self.architecture
        h, c = self.embed(x, t, condition)
        h, within = run_observed(
            self.blocks, a.routes, h, tokens, perturbation, {"condition": c}, inner=a.inner_block if inner else None
        )
        output = self.unpatchify(self.final_layer(h, c), a.patch_size)
        return (output, self.unpatchify(self.final_layer_xr(within, c), a.patch_size)) if inner else output
