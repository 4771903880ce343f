"""Hold a thing against the laws of its kind: one that is built in, by name, or a user's, as FILE.py:NAME."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sgbench.base.choices import unknown
from sgbench.base.errors import UserError
from sgbench.base.registry import REGISTRIES, Registry, origin_of
from sgbench.base.user_code import is_reference, load, locate
from sgbench.conformance import rules, samplers
from sgbench.conformance.law import Law, Verdict, judge
from sgbench.guidance.branches import Rule
from sgbench.samplers.settings import SamplerKind

WHERE = "sgbench check"


class Kind(NamedTuple):
    """A kind of things, its laws, and what they are held against: the thing itself, or a case of it."""

    what: str
    laws: tuple[Law[Any], ...]
    case: Callable[[Any], Any]


KINDS: dict[type, Kind] = {
    Rule: Kind("guidance rule", rules.LAWS, rules.RuleCase),
    SamplerKind: Kind("sampler", samplers.LAWS, lambda kind: kind),
}


class Subject(NamedTuple):
    """A thing to check."""

    name: str
    what: str
    origin: str
    thing: object
    files: tuple[Path, ...] = ()
    """Of the user's code that it is made of."""

    @property
    def kind(self) -> Kind:
        return next(kind for of, kind in KINDS.items() if isinstance(self.thing, of))

    def verdicts(self) -> Iterator[Verdict]:
        """Every law of its kind, as it is found."""
        return judge(self.kind.laws, self.kind.case(self.thing), self.files)


def subjects(text: str, folder: Path) -> list[Subject]:
    """What a reference, relative to `folder`, or a name stands for; a name may be that of things of several kinds.

    Raises UserError for a name that is unknown, and for a file without such an object.
    """
    if is_reference(text):
        return [_brought(text, folder)]
    found = [
        Subject(text, registry.what, registry.origin(text).text, registry[text])
        for registry in _registries()
        if text in registry
    ]
    if not found:
        names = sorted({name for registry in _registries() for name in registry})
        fix = "write FILE.py:NAME, or a name of `sgbench guidance list` and the like"
        raise unknown("rule, sampler, metric or extractor", text, names, WHERE, fix)
    return found


def _brought(reference: str, folder: Path) -> Subject:
    code = locate(reference, folder, WHERE)
    thing = load(code, WHERE)
    registry = next((one for one in REGISTRIES if isinstance(thing, one.kind)), None)
    if registry is None:
        known = ", ".join(f"{one.kind.__name__} ({one.what})" for one in REGISTRIES)
        what = f"{reference} is a {type(thing).__name__}, which has no laws"
        raise UserError(what, where=WHERE, fix=f"name an object of one of the classes {known}")
    name = registry.add(thing, origin_of(code), WHERE)
    return Subject(name, registry.what, reference, registry[name], code.files)


def _registries() -> list[Registry[Any]]:
    return [registry for registry in REGISTRIES if registry.kind in KINDS]
