"""Token routing, TREAD (arXiv 2501.04765): image tokens skip a range of blocks and are put back after it.

Transformers of other libraries call their blocks in a loop of their own: all are replaced by one that runs and routes.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from sgbench.guidance.perturbation import Perturbation
from sgbench.models.architecture import Routes, check_routes
from sgbench.networks.layers import gather_tokens, run_block, scatter_tokens


def run_routed(
    blocks: nn.ModuleList,
    routes: Routes,
    h: Tensor,
    tokens: Tensor | None,
    perturbation: Perturbation | None,
    context: Mapping[str, Any],
    on_route: Mapping[str, Any] | None = None,
) -> Tensor:
    """All blocks on h (B, N, D); tokens that are not kept (B, K) wait from the start of a route to its end.

    Blocks are called with the arguments `context`, on routes with `on_route` where that differs.
    """
    return run_observed(blocks, routes, h, tokens, perturbation, context, on_route)[0]


def run_observed(
    blocks: nn.ModuleList,
    routes: Routes,
    h: Tensor,
    tokens: Tensor | None,
    perturbation: Perturbation | None,
    context: Mapping[str, Any],
    on_route: Mapping[str, Any] | None = None,
    inner: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The same, and the states of all tokens after block `inner`, the last one where it is None.

    On a route those of waiting tokens are what they were at its start.
    """
    observed = len(blocks) - 1 if inner is None else inner
    starts, ends = ({route[end] for route in routes} if tokens is not None else set() for end in (0, 1))
    waiting, given, seen = h, context, h
    part: Tensor | None = None
    for layer, block in enumerate(blocks):
        if tokens is not None and layer in starts:
            waiting, h, given, part = h, gather_tokens(h, tokens), on_route or context, tokens
        h = run_block(block, layer, perturbation, h, **given)
        if tokens is not None and layer in ends:
            h, given, part = scatter_tokens(waiting, tokens, h), context, None
        if layer == observed:
            seen = h if part is None else scatter_tokens(waiting, part, h)
    return h, seen


class RoutedBlocks(nn.Module):
    """All blocks of a transformer as a single one, in which tokens may skip ranges of them.

    It replaces blocks that are all called with image tokens `hidden_states` (B, N, D), their first argument, and the
    same keyword arguments, and that return image tokens. `per_token` names the arguments with an entry per image token
    and the dimension that counts them; all others, such as words, are never routed.
    """

    def __init__(self, blocks: Iterable[nn.Module], routes: Routes, per_token: Mapping[str, int]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        check_routes(routes, len(self.blocks))
        self.routes, self.per_token = routes, dict(per_token)
        # Of the current call, which has no other way to pass them.
        self.tokens: Tensor | None = None
        self.perturbation: Perturbation | None = None

    def forward(self, hidden_states: Tensor, **context: Tensor | None) -> Tensor:
        on_route = dict(context)
        for name, dim in self.per_token.items():
            value = context.get(name)
            if self.tokens is not None and value is not None:
                on_route[name] = gather_along(value, self.tokens, dim)
        return run_routed(self.blocks, self.routes, hidden_states, self.tokens, self.perturbation, context, on_route)


def gather_along(x: Tensor, tokens: Tensor, dim: int) -> Tensor:
    """The kept tokens (B, K) of x, whose dimension `dim` counts tokens and whose first one is B, or 1 for all."""
    shape = [len(tokens), *x.shape[1:]]
    shape[dim] = tokens.shape[1]
    index = tokens[(slice(None), *[None] * (dim - 1), slice(None), *[None] * (x.ndim - dim - 1))]
    return x.expand(len(tokens), *x.shape[1:]).gather(dim, index.expand(shape))
