"""Multiply-accumulates of a network as fvcore counts them, with a handler for fused attention.

fvcore alone counts scaled-dot-product attention as nothing, which would favour dense branches. Operators that it does
not know must be in ALLOWED, or the count is refused.
"""

import contextlib
import math
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch

with warnings.catch_warnings():
    # Importing fvcore uses torch.jit.script, which torch calls deprecated.
    warnings.simplefilter("ignore")
    from fvcore.nn import FlopCountAnalysis

from sgbench.base.errors import UserError
from sgbench.cells.closed_form import kept_macs
from sgbench.cells.randomness import generator
from sgbench.guidance.perturbation import Draws, Perturbation
from sgbench.guidance.subset_rules import kept_tokens
from sgbench.models.architecture import Macs
from sgbench.networks.autoencoder import Decoder
from sgbench.networks.denoiser import Denoiser

ATTENTION, NORM = "scaled_dot_product_attention", "layer_norm"
TOLERANCE = 1e-3
# Elementwise or data movement: cheap compared with the products, and not part of either convention.
CHEAP = """
add addcmul cat clone col2im cos div embedding exp expand expand_as fill gather gelu im2col index mean mul neg one_hot
ones_like pow repeat_interleave rms_norm scatter scatter_add select silu sin slice softmax stack sub topk unbind
unflatten zeros zeros_like rsqrt reciprocal repeat
"""
ALLOWED = {f"aten::{name}" for name in CHEAP.split()}


class MiscountError(UserError):
    """fvcore met an operator it cannot count, or disagrees with the closed form."""

    def __init__(self, what: str) -> None:
        fix = "report it to the authors of sgbench: no cost is better than a wrong one"
        super().__init__(what, where="counting multiply-accumulates", fix=fix)


def _attention_macs(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """Both products of attention: B H Nq Nk (d_k + d_v)."""
    query, key, value = (tensor.type().sizes() for tensor in inputs[:3])
    return Counter({ATTENTION: math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])})


def _normalised_elements(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """Elements of the input, with or without a gain (fvcore would count 4 and 5 for each)."""
    return Counter({NORM: math.prod(inputs[0].type().sizes())})


def count_call(model: Denoiser, gamma: float) -> Macs:
    """Trace one call for one image at sparsity gamma; see `count_kept`."""
    return count_kept(model, kept_tokens(model.architecture.grid_tokens, gamma))


def count_kept(model: Denoiser, kept: int, perturbation: Perturbation | None = None, inner: bool = False) -> Macs:
    """Trace one call for one image with `kept` tokens at work and check it against the closed form.

    With `inner` the call also gives the prediction of the inner head.
    Raises MiscountError when an unknown operator was met or the two differ by more than 0.1 %.
    """
    a = model.architecture
    with next(model.parameters()).device:
        inputs: tuple[torch.Tensor, ...] = (
            torch.zeros(1, *a.sample_shape),
            torch.full((1,), 0.5),
            torch.zeros(1, *a.condition_shape, dtype=torch.float32 if a.conditions == "captions" else torch.long),
        )
        if kept < a.grid_tokens:
            inputs = (*inputs, torch.arange(kept).unsqueeze(0))
    if perturbation is not None:
        # What is drawn costs nothing.
        image = Draws((generator(0, 0, 0),), a.grid_tokens, a.attention_width, torch.from_numpy)
        perturbation = perturbation.drawn(image)
    with _uncompiled(model):
        counted = _trace(_Call(model, perturbation, inner) if perturbation or inner else model, inputs)
    expected = kept_macs(a, kept, perturbation, inner)
    for name in ("macs", "paper"):
        found, stated = getattr(counted, name), getattr(expected, name)
        if abs(found - stated) > TOLERANCE * stated:
            raise MiscountError(f"{name}: fvcore counts {found}, the closed form {stated} with {kept} tokens kept")
    return counted


@contextlib.contextmanager
def _uncompiled(model: Denoiser) -> Iterator[None]:
    """The network as it was written: a compiled one cannot be traced, and costs the same."""
    compiled, model._compiled_call_impl = model._compiled_call_impl, None
    try:
        yield
    finally:
        model._compiled_call_impl = compiled


class _Call(torch.nn.Module):
    """A network with some blocks perturbed, or with the prediction of its inner head, as a module to be traced."""

    def __init__(self, model: Denoiser, perturbation: Perturbation | None, inner: bool) -> None:
        super().__init__()
        self.model = model
        self.asked = {"perturbation": perturbation, **({"inner": True} if inner else {})}

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.model(*inputs, **self.asked)


def count_decoder(decoder: Decoder, latent_shape: tuple[int, int, int]) -> int:
    """Multiply-accumulates of decoding one latent (C, h, w); it has no closed form."""
    weight = next(decoder.parameters())
    latents = torch.zeros(1, *latent_shape, device=weight.device, dtype=weight.dtype)
    return _trace(decoder, (latents,)).macs


def _trace(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> Macs:
    analysis = FlopCountAnalysis(model, inputs)
    analysis.set_op_handle(f"aten::{ATTENTION}", _attention_macs)
    analysis.set_op_handle(f"aten::{NORM}", _normalised_elements)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    operators = analysis.by_operator()
    unknown = sorted(set(analysis.unsupported_ops()) - ALLOWED)
    if unknown:
        raise MiscountError(f"fvcore cannot count {', '.join(unknown)}; add a handler or allow it as cheap")
    normalised, attention = int(operators.pop(NORM, 0)), int(operators.pop(ATTENTION, 0))
    return Macs(int(sum(operators.values())), attention, normalised)
