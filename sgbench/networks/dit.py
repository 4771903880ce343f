"""DiT, dense or with TREAD routes: routed tokens skip the blocks of a route and are put back after it."""

from torch import Tensor, nn

from sgbench.guidance.perturbation import Perturbation
from sgbench.models.families.dit import DiTArchitecture
from sgbench.networks.denoiser import ClassDenoiser
from sgbench.networks.layers import Attention, Block, FinalLayer, initialise
from sgbench.networks.routing import run_routed


class DiT(ClassDenoiser):
    """Denoiser of the `dit` family; see `networks/denoiser.py` for the contract."""

    architecture: DiTArchitecture

    def __init__(self, architecture: DiTArchitecture) -> None:
        super().__init__(architecture)
        a, width = architecture, architecture.hidden_size
        self.blocks = nn.ModuleList(Block(Attention(width, a.num_heads), width, width) for _ in range(a.depth))
        self.final_layer = FinalLayer(width, a.patch_size**2 * a.out_channels, width)
        initialise(self)

    def run_blocks(self, h: Tensor, c: Tensor, tokens: Tensor | None, perturbation: Perturbation | None) -> Tensor:
        return run_routed(self.blocks, self.architecture.routes, h, tokens, perturbation, {"condition": c})
