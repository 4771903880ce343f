"""Token routing, TREAD (arXiv 2501.04765): image tokens skip a range of blocks and are put back after it.

Transformers of other libraries call their blocks in a loop of their own: all are replaced by one that runs and routes.
"""

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from sgbench.guidance.perturbation import Perturbation
from sgbench.models.architecture import Routes, check_routes
from sgbench.networks.layers import gather_tokens, run_block, scatter_tokens


def run_routed(
    blocks: nn.ModuleList,
    routes: Routes,
    h: Tensor,
    c: Tensor,
    tokens: Tensor | None,
    perturbation: Perturbation | None,
) -> Tensor:
    """All blocks on h (B, N, D) under c; tokens that are not kept (B, K) wait from the start of a route to its end."""
    starts, ends = ({route[end] for route in routes} if tokens is not None else set() for end in (0, 1))
    waiting = h
    for layer, block in enumerate(blocks):
        if tokens is not None and layer in starts:
            waiting, h = h, gather_tokens(h, tokens)
        h = run_block(block, layer, perturbation, h, c)
        if tokens is not None and layer in ends:
            h = scatter_tokens(waiting, tokens, h)
    return h


class RoutedBlocks(nn.Module):
    """All blocks of a transformer as a single one, in which tokens may skip ranges of them.

    It takes the place of blocks that are called with image tokens `hidden_states` (B, N, D) and the same keyword
    arguments each, and that return image tokens. `per_token` names the arguments that hold something for every image
    token, and the dimension that counts them; all others, such as words, are never routed.
    """

    def __init__(self, blocks: Iterable[nn.Module], routes: Routes, per_token: Mapping[str, int]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        check_routes(routes, len(self.blocks))
        self.starts = frozenset(first for first, _ in routes)
        self.ends = frozenset(last for _, last in routes)
        self.per_token = dict(per_token)
        # Of the current call, which has no other way to pass them.
        self.tokens: Tensor | None = None
        self.perturbation: Perturbation | None = None

    def forward(self, hidden_states: Tensor, **context: Tensor | None) -> Tensor:
        tokens, waiting, given = self.tokens, hidden_states, context
        for index, block in enumerate(self.blocks):
            if tokens is not None and index in self.starts:
                waiting, hidden_states = hidden_states, gather_tokens(hidden_states, tokens)
                given = context | {
                    name: gather_along(value, tokens, dim)
                    for name, dim in self.per_token.items()
                    if (value := context.get(name)) is not None
                }
            if self.perturbation is None or index not in self.perturbation.layers:
                hidden_states = block(hidden_states=hidden_states, **given)
            if tokens is not None and index in self.ends:
                hidden_states, given = scatter_tokens(waiting, tokens, hidden_states), context
        return hidden_states


def gather_along(x: Tensor, tokens: Tensor, dim: int) -> Tensor:
    """The kept tokens (B, K) of x, whose dimension `dim` counts tokens and whose first one is B, or 1 for all."""
    shape = [len(tokens), *x.shape[1:]]
    shape[dim] = tokens.shape[1]
    index = tokens[(slice(None), *[None] * (dim - 1), slice(None), *[None] * (x.ndim - dim - 1))]
    return x.expand(len(tokens), *x.shape[1:]).gather(dim, index.expand(shape))
