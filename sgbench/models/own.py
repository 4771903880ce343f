"""Models of users' own, each a class with a card and the options it is built with: `mine.py:Model(depth=12)`. No torch.

The class is loaded with its file, the network is built when it runs. Results keep the card, so that whoever reads them
runs no code.
"""

import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import quote, unquote

from sgbench.base.choices import suggestion
from sgbench.base.errors import UserError
from sgbench.base.registry import NAME, Origin, Registry
from sgbench.base.signatures import refusal_of
from sgbench.base.user_code import is_reference, line_of, load, locate
from sgbench.models.card import ModelCard
from sgbench.models.embedded import recipe_names
from sgbench.models.families import FAMILIES
from sgbench.models.public import PUBLIC

CALL: Final = "(x, t, condition, tokens)"
MODULE: Final = ("torch.nn.modules.module", "Module")
OPTION: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# `FILE.py:NAME` or NAME, which may follow the package it is of.
WITH_OPTIONS: Final = re.compile(
    rf"(?:(?P<file>.+\.py:{OPTION.pattern})|(?:.+: )?(?P<name>{OPTION.pattern}))(?P<options>\(\S*\))?"
)
NAMES: Final = re.compile(rf"{NAME.pattern}(\([^\s()]*\))?")
# What stands for itself in the value of an option.
PLAIN: Final = "/+[]{}"

Options = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class OwnModel:
    """One class with one set of options, or one live network."""

    name: str
    """The card's name with the options, `mine(depth=12)`: what cells, rows and registries call it."""
    card: ModelCard
    at: str
    """File and line of its call."""
    build: Callable[[], Any]
    """The network, a torch.nn.Module, with fresh weights, or a live one's own. Raises UserError."""


class ModelRegistry(Registry[OwnModel]):
    """Models that users bring: a name for each class and its options."""

    forget: Callable[[], object] = staticmethod(lambda: None)
    """Called when a name gets a new meaning; the catalogue has it forget what it knows."""
    offered: Final[dict[str, tuple[type, Origin]]] = {}
    """Classes of installed packages by name."""

    def add(self, thing: object, origin: Origin, where: str) -> str:
        if isinstance(thing, OwnModel) and thing.card.name in {*recipe_names(), *PUBLIC, *FAMILIES}:
            what = f"{origin.text} is called {thing.card.name}, which is the name of a model or a family of sgbench"
            raise UserError(what, where=where, fix="give its card another name")
        name = super().add(thing, origin, where)
        self.forget()
        return name

    def takes(self, thing: object) -> bool:
        return isinstance(thing, type) and is_module(thing)

    def offer(self, thing: type, origin: Origin, where: str) -> None:
        before = self.offered.get(thing.__name__)
        if before is not None and before[1].text != origin.text:
            what = f"{origin.text} and {before[1].text} both offer a model {thing.__name__}"
            raise UserError(what, where=where, fix="uninstall one of them")
        self.offered[thing.__name__] = thing, origin

    def bring(self, reference: str, folder: Path, where: str) -> str:
        """Add a class with its options: `FILE.py:NAME(option=value,...)`, or NAME of an installed package's.

        Raises UserError.
        """
        code, options = split_reference(reference)
        if is_reference(code):
            found = locate(code, folder, where)
            thing, name = load(found, where), found.name
            origin = Origin(reference, found.sha256, found.files)
        elif code in self.offered:
            (thing, package), name = self.offered[code], code
            origin = Origin(f"{package.text}: {code}{spell_options(options)}", package.sha256)
        else:
            what = f"no installed package offers a model {code!r}{suggestion(code, list(self.offered))}"
            fix = "write FILE.py:NAME, such as mine.py:Model, or install the package that offers it"
            raise UserError(what, where=where, fix=fix)
        return self.add(_model_of(thing, name, origin, options, where), origin, where)


def record(model: OwnModel) -> dict[str, Any]:
    """What results keep of a model, as JSON takes it."""
    return {"name": model.name, "card": model.card.record()}


def restore(facts: Mapping[str, Any]) -> OwnModel:
    """A model that can be named and reported, not run. Raises KeyError, TypeError or ValueError for other facts."""
    return OwnModel(facts["name"], ModelCard(**facts["card"]), "", _closed)


def _closed() -> NoReturn:
    raise UserError(
        "the model is known from a record of results alone",
        where="a user's model",
        fix="run the suite, which loads its file",
    )


MODELS: Final = ModelRegistry("model", OwnModel, (), record=record, restore=restore, names=NAMES)


def split_reference(reference: str) -> tuple[str, dict[str, Any]]:
    """A reference without its options, and the options."""
    match = WITH_OPTIONS.fullmatch(reference)
    return (match["file"] or match["name"], read_options(match["options"] or "")) if match else (reference, {})


def spell_options(options: Options) -> str:
    """`(depth=12,mode=fast)`, in alphabetical order and without blanks; empty without options.

    Raises ValueError for a name or a value that a suite cannot give.
    """
    for key in options:
        if not isinstance(key, str) or not OPTION.fullmatch(key):
            raise ValueError(f"{key!r} is not the name of an option")
    parts = [f"{key}={quote(_spell(value), safe=PLAIN)}" for key, value in sorted(options.items())]
    return f"({','.join(parts)})" if parts else ""


def read_options(text: str) -> dict[str, Any]:
    """The inverse of `spell_options`."""
    parts = [part.partition("=") for part in text.strip("()").split(",") if part]
    return {key: _read(unquote(value)) for key, _, value in parts}


def _spell(value: object) -> str:
    """JSON; a text that JSON could not mistake stands for itself."""
    if isinstance(value, str) and value and _read(value) == value:
        return value
    try:
        return json.dumps(value, separators=(",", ":"), sort_keys=True, allow_nan=False)
    except TypeError as error:
        raise ValueError(f"{value!r} is neither a number, a text, nor a list or mapping of them") from error


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _model_of(thing: object, name: str, origin: Origin, options: Options, where: str) -> OwnModel:
    if not isinstance(thing, type) or not is_module(thing):
        what = (
            f"the class {thing.__name__}" if isinstance(thing, type) else f"an object of class {type(thing).__name__}"
        )
        where = str(origin.files[0]) if origin.files else origin.text
        raise UserError(f"{name} is {what}, not a class of modules", where=where, fix="derive it from torch.nn.Module")
    own_card = getattr(thing, "card", None)
    made = {"the card of " + name: own_card, name: thing} if callable(own_card) else {name: thing}
    for called, function in made.items():
        taken = refusal_of(function, **options)
        if taken:
            what = f"{called} takes {taken}, and the options are {', '.join(options) or 'none'}"
            raise UserError(what, where=f"{where}.options", fix="correct the options")
    card = _card_of(thing, origin, options)
    at = check_call(thing, card)

    def build() -> Any:
        try:
            return thing(**options)
        except Exception as error:
            what = f"{name}{spell_options(options)} cannot be built"
            raise failed(what, error, origin.files, at) from error

    return OwnModel(card.name + spell_options(options), card, at, build)


def _card_of(kind: type, origin: Origin, options: Options) -> ModelCard:
    card = getattr(kind, "card", None)
    if callable(card) and not isinstance(card, type):
        try:
            card = card(**options)
        except Exception as error:
            what = f"the card of {kind.__name__} cannot be made"
            raise failed(what, error, origin.files, line_of_class(kind)) from error
    return require_card(card, kind)


def require_card(card: object, kind: type) -> ModelCard:
    """The card of a class. Raises UserError where it has none."""
    if isinstance(card, ModelCard):
        return card
    raise UserError(
        f"the class {kind.__name__} has no card" if card is None else f"the card of {kind.__name__} is no ModelCard",
        where=line_of_class(kind),
        fix="give it `card = ModelCard(...)` of sgbench.models.card, or a static method `card` that makes one",
    )


def check_call(kind: type, card: ModelCard) -> str:
    """Where a class is called, as file and line. Raises UserError where it does not take what a call gives."""
    call = call_of(kind)
    at, shown = _line(call), f"{kind.__name__}.{call.__name__}"
    parameters = inspect.signature(call)
    try:
        # The first is the object itself.
        parameters.bind(*range(5))
    except TypeError as error:
        raise UserError(f"{shown} takes {parameters}", where=at, fix=f"let it take {CALL} after self") from error
    kinds = [parameter.kind for parameter in parameters.parameters.values()]
    if card.blocks and "change" not in parameters.parameters and inspect.Parameter.VAR_KEYWORD not in kinds:
        what = f"the card of {kind.__name__} names {card.blocks} blocks to perturb, and {shown} takes no `change`"
        raise UserError(what, where=at, fix="let it take `change=None`, or leave `blocks` out of the card")
    return at


def is_module(kind: type) -> bool:
    """Whether a class is one of torch.nn.Module, found by name: torch is not imported here."""
    return any((base.__module__, base.__name__) == MODULE for base in kind.__mro__)


def failed(what: str, error: BaseException, files: tuple[Path, ...], otherwise: str) -> UserError:
    """The error for a user's code that raised one: where in its files, or else where the code is."""
    said = " ".join(str(error).split())
    reason = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return UserError(f"{what} ({reason})", where=line_of(error, files) or otherwise, fix="correct that line")


def line_of_class(kind: type) -> str:
    """File and line of a class; the name of its module where neither is known."""
    try:
        return f"{inspect.getsourcefile(kind)}, line {inspect.getsourcelines(kind)[1]}"
    except (OSError, TypeError):
        return kind.__module__


def call_of(kind: type) -> Callable[..., Any]:
    """What a call runs: `__call__` if the class has one of its own, `forward` otherwise."""
    own = (vars(base).get("__call__") for base in kind.__mro__ if not base.__module__.startswith("torch."))
    found: Callable[..., Any] = next(filter(None, own), getattr(kind, "forward", kind))
    return found


def _line(call: Callable[..., Any]) -> str:
    code = getattr(inspect.unwrap(call), "__code__", None)
    return f"{code.co_filename}, line {code.co_firstlineno}" if code else "a user's model"
