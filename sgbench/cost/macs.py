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
T abs add addcdiv addcmul amax amin bitwise_and bitwise_or broadcast_to cat clone col2im cos cumprod cumsum diff div
elu embedding erf exp expand expand_as expm1 fill flip fmod gather gelu hardtanh im2col index index_add index_copy
index_select le leaky_relu lerp linspace log log1p log2 logical_and logical_not logical_or logsumexp lt mT
masked_select maximum mean min minimum mish movedim mul ne neg new_ones norm numpy_T one_hot ones ones_like outer pad
pixel_shuffle pixel_unshuffle pow prelu reciprocal relu6 repeat repeat_interleave reshape_as rms_norm rsqrt rsub
scalar_tensor scatter scatter_add select sigmoid sign silu sin slice softmax softplus sqrt square stack std sub sum
swapaxes swapdims take_along_dim tanh tile topk tril triu unbind unflatten unfold var view_as where zeros zeros_like
"""
ALLOWED = {f"aten::{name}" for name in CHEAP.split()}


class MiscountError(UserError):
    """fvcore met an operator it cannot count, or disagrees with the closed form."""

    def __init__(self, what: str, at: str = "", fix: str = "") -> None:
        """`at` and `fix` are of a user's own network."""
        fix = fix or "report it to the authors of sgbench: no cost is better than a wrong one"
        super().__init__(what, where=at or "counting multiply-accumulates", fix=fix)


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
    """Trace one call for one image with `kept` tokens at work and check it against the closed form, where there is one.

    With `inner` the call also gives the prediction of the inner head.
    Raises MiscountError when an unknown operator was met or the two differ by more than 0.1 %.
    """
    a = model.architecture
    weight = next(model.parameters(), None)
    with torch.device("cpu") if weight is None else weight.device:
        inputs: tuple[torch.Tensor, ...] = (
            torch.zeros(1, *a.sample_shape),
            torch.full((1,), 0.5),
            torch.zeros(1, *a.condition_shape, dtype=torch.float32 if a.conditions == "captions" else torch.long),
        )
        if kept < a.grid_tokens:
            inputs = (*inputs, torch.arange(kept).unsqueeze(0))
    if perturbation is not None:
        # What is drawn costs nothing.
        device = inputs[0].device
        image = Draws(
            (generator(0, 0, 0),), a.grid_tokens, a.attention_width, lambda drawn: torch.from_numpy(drawn).to(device)
        )
        perturbation = perturbation.drawn(image)
    with _uncompiled(model):
        counted = _trace(_Call(model, perturbation, inner) if perturbation or inner else model, inputs, model.at)
    if not a.states_macs(perturbation):
        return counted
    expected = kept_macs(a, kept, perturbation, inner)
    for name in ("macs", "paper"):
        found, stated = getattr(counted, name), getattr(expected, name)
        if abs(found - stated) > TOLERANCE * stated:
            what = f"{name}: fvcore counts {found}, the closed form {stated} with {kept} tokens kept"
            raise MiscountError(what, model.at, "correct `macs` in the card, or leave it out" if model.at else "")
    return counted


def check_own(model: Denoiser) -> None:
    """Count a user's own network before it makes an image. Nothing is done for those of sgbench.

    Raises UserError where it cannot be counted, or drops tokens, as its card says, and costs no less with half of them.
    """
    if not model.at:
        return
    a = model.architecture
    half, dense = a.grid_tokens // 2, count_kept(model, a.grid_tokens).macs
    if not a.can_drop_tokens or not half:
        return
    sparse = count_kept(model, half).macs
    if sparse >= dense:
        raise UserError(
            f"with {half} of {a.grid_tokens} tokens a call costs {sparse} multiply-accumulates, and {dense} with all: "
            "`tokens` saves no work",
            where=model.at,
            fix="gather kept tokens before the blocks and scatter them back after, or take `drops` out of its card",
        )


@contextlib.contextmanager
def _uncompiled(model: Denoiser) -> Iterator[None]:
    """The network as it was written: a compiled one cannot be traced, and costs the same."""
    network = model.wrapped
    compiled, network._compiled_call_impl = network._compiled_call_impl, None
    try:
        yield
    finally:
        network._compiled_call_impl = compiled


@contextlib.contextmanager
def _written_out_attention() -> Iterator[None]:
    """torch's own transformer layers as operators that fvcore knows, in place of one for all."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


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


def _trace(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...], at: str = "") -> Macs:
    analysis = FlopCountAnalysis(model, inputs)
    analysis.set_op_handle(f"aten::{ATTENTION}", _attention_macs)
    analysis.set_op_handle(f"aten::{NORM}", _normalised_elements)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    with _written_out_attention():
        operators = analysis.by_operator()
        unknown = sorted(name for name in analysis.unsupported_ops() if name.removesuffix("_") not in ALLOWED)
    if unknown and at:
        fix = "write it with operators that fvcore counts: linear, matmul, einsum, conv, scaled_dot_product_attention"
        raise MiscountError(f"fvcore cannot count {', '.join(unknown)}", at, fix)
    if unknown:
        raise MiscountError(f"fvcore cannot count {', '.join(unknown)}; add a handler or allow it as cheap")
    normalised, attention = int(operators.pop(NORM, 0)), int(operators.pop(ATTENTION, 0))
    return Macs(int(sum(operators.values())), attention, normalised)
