"""A user's network behind the call of ours: its outputs are checked, its errors name file and line."""

import copy
import inspect
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from sgbench.base.errors import UserError, plain
from sgbench.base.registry import Origin
from sgbench.base.user_code import code_digest
from sgbench.guidance.perturbation import Perturbation
from sgbench.models.card import Adapter
from sgbench.models.custom import Brought, CustomArchitecture, CustomSpec, live_name
from sgbench.models.own import MODELS, OwnModel, check_call, require_card
from sgbench.networks.denoiser import Denoiser
from sgbench.networks.fingerprint import digest

DIGITS = 16


class Custom(Denoiser):
    """A user's network as a denoiser."""

    architecture: CustomArchitecture

    def __init__(self, architecture: CustomArchitecture, model: OwnModel) -> None:
        super().__init__(architecture)
        self.module = model.build()
        require_made(self.module, model.at)
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
    at = check_call(kind, card) if call is None else f"the call of {card.name}"
    require_made(module, "model")
    kept = _copied(module)
    kinds = list(dict.fromkeys(map(type, kept.modules())))
    files = _sources(kinds)
    code = json.dumps(card.record(), sort_keys=True), *(code_digest(file, file.parent, "model")[0] for file in files)
    try:
        weights, sha256 = digest(kept), digest((code, kinds, card.macs, call))
    except Exception as error:
        what = f"what makes this {kind.__name__} cannot be told from another ({plain(error)})"
        fix = "let the network, and the call of an Adapter, hold numbers, texts, tensors and functions"
        raise UserError(what, where="model", fix=fix) from error
    origin = Origin(f"a live {kind.__name__}", sha256, files)
    made = digest((weights, sha256))
    model = OwnModel(live_name(card, made), card, at, lambda: kept if call is None else _Called(kept, call))
    name = MODELS.add(model, origin, "model")
    return Brought(CustomSpec(name, weights[:DIGITS]).text(), name, origin.text, sha256)


def require_made(module: nn.Module, where: str) -> None:
    """Raise UserError for a network whose lazy modules have no parameters yet."""
    if any(is_lazy(tensor) for tensor in (*module.parameters(), *module.buffers())):
        what = f"lazy modules of {type(module).__name__} have no parameters before they are called"
        raise UserError(what, where=where, fix="write modules with their sizes, such as Linear for LazyLinear")


def _copied(module: nn.Module) -> nn.Module:
    """A copy, with which later training has nothing to do. Raises UserError where there can be none."""
    try:
        return copy.deepcopy(module).eval().requires_grad_(False)
    except Exception as error:
        what = f"the network cannot be copied ({plain(error).partition('.')[0]})"
        fix = "let its attributes hold numbers, texts and tensors, these detached where they were computed"
        raise UserError(what, where="model", fix=fix) from error


def _sources(kinds: Iterable[type]) -> tuple[Path, ...]:
    """The files that define classes, installed packages apart; none for those that were typed in."""
    bases = [base for kind in kinds for base in kind.__mro__ if not base.__module__.startswith("torch.")]
    methods = [held for base in bases for held in vars(base).values() if inspect.isfunction(held)]
    files = dict.fromkeys(Path(method.__code__.co_filename) for method in methods)
    return tuple(file for file in files if file.is_file() and "site-packages" not in file.parts)
