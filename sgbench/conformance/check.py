"""Hold a thing against the laws of its kind: one that is built in, by name, or a user's, as FILE.py:NAME."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from sgbench.base.choices import unknown
from sgbench.base.errors import UserError
from sgbench.base.registry import REGISTRIES, Registry, load_installed
from sgbench.base.user_code import is_reference, load, locate
from sgbench.conformance import extractors, metrics, models, rules, samplers
from sgbench.conformance.law import Law, Verdict, judge
from sgbench.conformance.model_case import ModelCase
from sgbench.conformance.stage import awake
from sgbench.guidance.branches import Rule
from sgbench.metrics.instrument import Extractor
from sgbench.metrics.metric import Metric
from sgbench.models import catalogue
from sgbench.models.components import NONE
from sgbench.models.custom import CustomSpec, weights_from
from sgbench.models.own import MODELS, split_reference
from sgbench.models.spec import RANDOM, is_spec
from sgbench.networks.loading import load_network
from sgbench.samplers.settings import SamplerKind

WHERE = "sgbench check"


class Kind(NamedTuple):
    """A kind of things, its laws, and what they are held against: the thing itself, or a case of it."""

    what: str
    laws: tuple[Law[Any], ...]
    case: Callable[[Any], Any]


KINDS: dict[type, Kind] = {
    Rule: Kind("guidance rule", rules.LAWS, rules.RuleCase),
    ModelCase: Kind("model", models.LAWS, lambda case: case),
    SamplerKind: Kind("sampler", samplers.LAWS, lambda kind: kind),
    Metric: Kind("metric", metrics.LAWS, metrics.MetricCase),
    Extractor: Kind("extractor", extractors.LAWS, extractors.ExtractorCase),
}


class Subject(NamedTuple):
    """A thing to check."""

    name: str
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


def subjects(text: str, folder: Path, weights: str | None = None) -> list[Subject]:
    """What a reference, relative to `folder`, or a name stands for; a name may be that of things of several kinds.

    `weights` are those of a user's model, as in a suite, random unless given. Raises UserError for a name that is
    unknown, and for a file without such an object.
    """
    load_installed()
    if is_reference(split_reference(text)[0]):
        return [_brought(text, folder, weights)]
    if split_reference(text)[0] in MODELS.offered:
        return [_model(text, folder, weights)]
    if weights is not None:
        raise UserError("only a user's model takes weights", where="--weights", fix="leave it out")
    found = [Subject(text, "sgbench", model_case(text))] if is_spec(text) or text in catalogue.names() else []
    found += [
        Subject(text, registry.origin(text).text, registry[text], registry.origin(text).files)
        for registry in _registries()
        if text in registry
    ]
    if not found:
        names = sorted({name for registry in _registries() for name in registry} | set(catalogue.names()))
        fix = "write FILE.py:NAME, or the name of a rule, a model, a sampler, a metric or an extractor"
        raise unknown("thing", text, names, WHERE, fix)
    return found


def model_case(name: str) -> ModelCase:
    """A model by its name in cells, with its weights; with random ones every parameter is moved. Raises UserError."""
    info = catalogue.entry(name, WHERE)
    if info.main.kind == "folder":
        fix = "write it out with weights=random, which are of the published sizes"
        raise UserError("the laws are of networks, and this is a pipeline", where=name, fix=fix)
    network = load_network(info, "main", torch.device("cpu"))
    return ModelCase(info, awake(network, 0) if info.random else network)


def _brought(reference: str, folder: Path, weights: str | None) -> Subject:
    code = locate(split_reference(reference)[0], folder, WHERE)
    thing = load(code, WHERE)
    registry = next((one for one in REGISTRIES if one.takes(thing)), None)
    if registry is None:
        known = ", ".join(f"{one.kind.__name__} ({one.what})" for one in REGISTRIES if one is not MODELS)
        kind = f"the class {thing.__name__}" if isinstance(thing, type) else f"an object of {type(thing).__name__}"
        what = f"{reference} is {kind}, which has no laws"
        raise UserError(what, where=WHERE, fix=f"name a torch.nn.Module with a card, or an object of {known}")
    if registry is MODELS:
        return _model(reference, folder, weights)
    if weights is not None:
        raise UserError(f"a {registry.what} takes no weights", where="--weights", fix="leave it out")
    name = registry.bring(reference, folder, WHERE)
    return Subject(name, reference, registry[name], code.files)


def _model(reference: str, folder: Path, weights: str | None) -> Subject:
    """A user's class of modules, or a package's, with the options of a reference."""
    name = MODELS.bring(reference, folder, WHERE)
    if weights is not None:
        given = weights_from(weights, folder)
    else:
        given = RANDOM if any(True for _ in MODELS[name].build().parameters()) else NONE
    origin = MODELS.origin(name)
    return Subject(name, origin.text, model_case(CustomSpec(name, given).text()), origin.files)


def _registries() -> list[Registry[Any]]:
    return [registry for registry in REGISTRIES if registry.kind in KINDS]
