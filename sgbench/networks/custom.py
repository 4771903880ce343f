"""A user's network behind the call of ours: its outputs are checked, its errors name file and line."""

import copy
import hashlib
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from sgbench.base.errors import UserError
from sgbench.base.registry import Origin
from sgbench.base.user_code import code_digest
from sgbench.guidance.perturbation import Perturbation
from sgbench.models.card import Adapter, ModelCard
from sgbench.models.custom import LIVE, Brought, CustomArchitecture, CustomSpec
from sgbench.models.own import MODELS, OwnModel, check_call, require_card
from sgbench.networks.denoiser import Denoiser

DIGITS = 16


class Custom(Denoiser):
    """A user's network as a denoiser."""

    architecture: CustomArchitecture

    def __init__(self, architecture: CustomArchitecture, model: OwnModel) -> None:
        super().__init__(architecture)
        self.module = model.build()
        self.own, self.at = model.name, model.at

    @property
    def wrapped(self) -> nn.Module:
        return self.module

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        condition: Tensor,
        tokens: Tensor | None = None,
        perturbation: Perturbation | None = None,
    ) -> Tensor:
        """The network's output (B, C or 2 C, H, W); it is given one t and one condition for each sample.

        Raises CellError where it fails, UserError where it returns something else.
        """
        batch = len(x)
        changed = {} if perturbation is None else {"change": perturbation}
        with MODELS.running(self.own):
            made = self.module(x, _for_each(t, batch), _for_each(condition, batch), tokens, **changed)
        expected = (batch, self.architecture.out_channels, *x.shape[2:])
        if isinstance(made, Tensor) and made.shape == expected and made.is_floating_point():
            return made
        found = f"{list(made.shape)} of {made.dtype}" if isinstance(made, Tensor) else f"a {type(made).__name__}"
        what = f"{self.own} makes {found} of samples {list(x.shape)}, and its card says {list(expected)}"
        raise UserError(what, where=self.at, fix="return one prediction for each sample, or correct the card")


def _for_each(given: Tensor, batch: int) -> Tensor:
    """One row for each sample, in memory of its own."""
    return given if len(given) == batch else given.expand(batch, *given.shape[1:]).contiguous()


class _Called(nn.Module):
    """A network that is called through a function."""

    def __init__(self, module: nn.Module, call: Callable[..., Tensor]) -> None:
        super().__init__()
        self.module, self.call = module, call

    def forward(self, *given: Any, **changed: Any) -> Tensor:
        return self.call(self.module, *given, **changed)


def build_own(architecture: CustomArchitecture) -> Custom:
    """The network of a user's model, with fresh weights, or a live one's own."""
    return Custom(architecture, MODELS[architecture.own])


def bring_live(given: object) -> Brought:
    """Add a network of this process as it is now; its name in cells tells its weights apart.

    `given` is a torch.nn.Module with a card, or an Adapter. Raises UserError for anything else.
    """
    module, card, call = given if isinstance(given, Adapter) else (given, None, None)
    if not isinstance(module, nn.Module):
        fix = "give a torch.nn.Module with a card, or `sgbench.Adapter(module, card)`"
        raise UserError(f"a {type(module).__name__} is no model", where="model", fix=fix)
    kind = type(module)
    card = require_card(getattr(module, "card", None) if card is None else card, kind)
    # A copy, with which later training has nothing to do.
    kept = copy.deepcopy(module).eval().requires_grad_(False)
    at = check_call(kind, card) if call is None else f"the call of {card.name}"
    files = _sources(kind)
    origin = Origin(f"a live {kind.__name__}", _code_sha256(kind, card, call, files), files)
    model = OwnModel(card.name + LIVE, card, at, lambda: kept if call is None else _Called(kept, call))
    name = MODELS.add(model, origin, "model")
    text = CustomSpec(name, network_sha256(kept)[:DIGITS]).text()
    return Brought(text, name, origin.text, origin.sha256)


def network_sha256(module: nn.Module) -> str:
    """One digest of all parameters and buffers, and of the numbers and texts that its modules hold."""
    total = hashlib.sha256()
    for name, part in module.named_modules():
        held = {key: value for key, value in vars(part).items() if not key.startswith("_") and _is_plain(value)}
        total.update(f"{name}\0{sorted(held.items())}\n".encode())
    for name, tensor in sorted(module.state_dict().items()):
        total.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\n".encode())
        total.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _methods(kind: type) -> list[FunctionType]:
    """The functions of a class and of its bases that do not come with torch."""
    bases = [base for base in kind.__mro__ if not base.__module__.startswith("torch.")]
    return [one for base in bases for _, one in sorted(vars(base).items()) if inspect.isfunction(one)]


def _sources(kind: type) -> tuple[Path, ...]:
    """The files that define a class, installed packages apart; none for one that was typed in."""
    files = dict.fromkeys(Path(method.__code__.co_filename) for method in _methods(kind))
    return tuple(file for file in files if file.is_file() and "site-packages" not in file.parts)


def _code_sha256(kind: type, card: ModelCard, call: Callable[..., Any] | None, files: tuple[Path, ...]) -> str:
    """The digest of what is known of a live network's code: its files, or else its methods; its card; its call."""
    parts = [json.dumps(card.record(), sort_keys=True)]
    parts += [code_digest(file, file.parent, "model")[0] for file in files]
    typed = [] if files else _methods(kind)
    for one in [*typed, *([call] if inspect.isfunction(call) else [])]:
        try:
            parts.append(inspect.getsource(one))
        except OSError:
            parts.append(one.__code__.co_code.hex())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
