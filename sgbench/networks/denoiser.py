"""What guidance and sampling need of a network, whatever its family, and how one is built from its record."""

from importlib import import_module

from torch import Tensor, nn

from sgbench.guidance.perturbation import Perturbation
from sgbench.models.architecture import Architecture, ClassArchitecture
from sgbench.networks.layers import PatchEmbed, TimestepEmbedder, sincos_positions, unpatchify


class Denoiser(nn.Module):
    """A network as its authors published it; `prediction.py` turns its output into what samplers work on.

    A call takes the course of DiT: embed, run the blocks under one condition vector, predict patches. A network of
    another course has a forward of its own, with the same contract.
    """

    architecture: Architecture
    """The sizes it was built from."""
    at: str = ""
    """File and line of the code of a user's own network."""
    x_embedder: nn.Module
    t_embedder: nn.Module
    y_embedder: nn.Module
    final_layer: nn.Module
    pos_embed: Tensor
    unpatchify = staticmethod(unpatchify)

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture

    @property
    def wrapped(self) -> nn.Module:
        """The network itself, where this wraps one: what is compiled, and what the names of a checkpoint belong to."""
        return self

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        condition: Tensor,
        tokens: Tensor | None = None,
        perturbation: Perturbation | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Raw output (B, C or 2 C, H, W), the first C channels being the prediction.

        x is (B, C, H, W); t (B,) on the family's own clock; condition (B,) holds class indices, num_classes being
        the null class, or is a caption embedding (B, L, channels). t and class indices may also be (1,), for all
        samples. tokens (B, kept) are the indices of the tokens that do work, in any order, or None for all: the
        family says which blocks see only those. Blocks are perturbed by their number in running order.

        A network with an inner head also takes `inner`, and gives a pair where it is true: this output, and that of
        the inner head, of the same shape.
        """
        h, c = self.embed(x, t, condition)
        h = self.run_blocks(h, c, tokens, perturbation)
        return self.unpatchify(self.final_layer(h, c), self.architecture.patch_size)

    def embed(self, x: Tensor, t: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Image tokens with their positions (B, N, D), and the vector that modulates all blocks (B, D)."""
        return self.x_embedder(x) + self.pos_embed, self.t_embedder(t) + self.y_embedder(condition)

    def run_blocks(self, h: Tensor, c: Tensor, tokens: Tensor | None, perturbation: Perturbation | None) -> Tensor:
        """All blocks; the states (B, N, D') that the last layer is given."""
        raise NotImplementedError


class LabelEmbedder(nn.Module):
    """One vector per class and one more for the null condition."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(classes + 1, width)

    def forward(self, labels: Tensor) -> Tensor:
        return self.embedding_table(labels)


class ClassDenoiser(Denoiser):
    """What class-conditional DiTs begin with: patches, time, classes, and fixed sine-cosine positions."""

    def __init__(self, architecture: ClassArchitecture, labels: type[nn.Module] = LabelEmbedder) -> None:
        super().__init__(architecture)
        a, width = architecture, architecture.hidden_size
        self.x_embedder = PatchEmbed(a.patch_size, a.in_channels, width)
        self.t_embedder = TimestepEmbedder(width, a.time_scale)
        self.y_embedder = labels(a.num_classes, width)
        self.pos_embed = nn.Parameter(sincos_positions(width, a.input_size // a.patch_size), requires_grad=False)


def build(architecture: Architecture) -> Denoiser:
    """A freshly initialised network of the record's kind."""
    module, _, name = architecture.network.partition(":")
    network: Denoiser = getattr(import_module(module), name)(architecture)
    return network
