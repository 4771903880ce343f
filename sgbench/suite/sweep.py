"""Expand a suite into its cells, and refuse combinations that mean nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from sgbench.errors import UserError
from sgbench.guidance import RULES, Rule
from sgbench.models import catalogue
from sgbench.models.catalogue import Entry
from sgbench.sampling.samplers import SAMPLERS
from sgbench.score.protocols import MINIMUM_SAMPLES, REFERENCE_SIDES, REFERENCES
from sgbench.suite.cell import Cell, Guidance, Sampler
from sgbench.suite.schema import Suite, SweepEntry
from sgbench.suite.suggest import suggestion


def expand(suite: Suite) -> list[Cell]:
    """All distinct cells in the order of the file. Raises UserError naming the sweep entry at fault."""
    _check_scoring(suite)
    cells: dict[Cell, None] = {}
    for number, entry in enumerate(suite.sweep):
        for cell in _expand_entry(suite, entry, f"{suite.suite}: sweep[{number}]"):
            cells[cell] = None
    return list(cells)


def _check_scoring(suite: Suite) -> None:
    if not suite.metrics:
        return
    if not suite.reference:
        raise UserError(
            "metrics need a reference",
            where=f"{suite.suite}: reference",
            fix="name one, or write `metrics: []` for work on throughput alone",
        )
    if suite.reference not in REFERENCES:
        raise UserError(
            f"there is no reference {suite.reference!r}",
            where=f"{suite.suite}: reference",
            fix=f"choose one of: {', '.join(REFERENCES)}",
        )
    for metric in suite.metrics:
        if suite.samples < MINIMUM_SAMPLES[metric]:
            raise UserError(
                f"metric {metric} needs at least {MINIMUM_SAMPLES[metric]} images, and there are {suite.samples}",
                where=f"{suite.suite}: samples",
                fix="raise samples (or --limit), or leave the metric out",
            )


def _expand_entry(suite: Suite, entry: SweepEntry, where: str) -> Iterator[Cell]:
    names = entry.sampler or [suite.sampler.name]
    for solver in names:
        most = SAMPLERS[solver].most_steps
        if most is not None and max(entry.steps or [suite.sampler.steps]) > most:
            raise UserError(f"{solver} takes at most {most} steps", where=where, fix="lower steps")
    samplers = [Sampler(name, steps) for name in names for steps in entry.steps or [suite.sampler.steps]]
    for model in entry.model or suite.model:
        known = catalogue.entry(model, f"{where}.model" if entry.model else f"{suite.suite}: model")
        _check_model(
            known, suite, names, where, f"{where}.sampler" if entry.sampler else f"{suite.suite}: sampler.name"
        )
        autoencoder = "" if known.in_pixels else suite.autoencoder
        for name in entry.guidance:
            _check_name(name, list(RULES), "guidance rule", f"{where}.guidance")
            for guidance in _settings(RULES[name], entry, where):
                _check_served(RULES[name], known, guidance, where)
                for sampler in samplers:
                    yield Cell(model, guidance, sampler, suite.seed, suite.labels, suite.dtype, autoencoder)


def _settings(rule: Rule, entry: SweepEntry, where: str) -> Iterator[Guidance]:
    scales = _values(entry.scale, rule.takes_scale, 1.0, "scale", rule, where)
    strong = _values(entry.gamma_strong, rule.takes_gamma_strong, 0.0, "gamma_strong", rule, where)
    weak = _values(entry.gamma_weak, rule.takes_gamma_weak, 0.0, "gamma_weak", rule, where)
    for scale, gamma_strong, gamma_weak in itertools.product(scales, strong, weak):
        if rule.sparser_weak and gamma_strong >= gamma_weak:
            raise UserError(
                f"gamma_strong {gamma_strong:g} is not below gamma_weak {gamma_weak:g}: with one checkpoint, "
                f"{rule.title} steers away from the sparser prediction",
                where=where,
                fix="lower gamma_strong, raise gamma_weak, or split the entry in two",
            )
        yield Guidance(rule.name, scale, gamma_strong, gamma_weak)


def _values(given: list[float] | None, taken: bool, neutral: float, key: str, rule: Rule, where: str) -> list[float]:
    if given is not None and not taken:
        raise UserError(f"{rule.title} has no {key}", where=f"{where}.{key}", fix="remove the key")
    if given is None:
        if taken and not rule.optional(key):
            raise UserError(f"{rule.title} needs {key}", where=where, fix=f"add `{key}: ...`")
        return [neutral]
    return given


def _check_model(model: Entry, suite: Suite, samplers: Sequence[str], where: str, sampler_key: str) -> None:
    """Whether samplers and metrics can be had of a model."""
    family = model.family
    if family.text:
        raise UserError(
            f"{model.name} draws from captions, and suites ask for classes",
            where=where,
            fix="choose a class-conditional model; `sgbench flops` and `sgbench models` know this one",
        )
    for name in samplers:
        if name not in family.samplers:
            raise UserError(
                f"{model.name} predicts {family.prediction}, which the sampler {name} does not take",
                where=sampler_key,
                fix=f"choose one of: {', '.join(family.samplers)}",
            )
    if not suite.metrics:
        return
    if model.random:
        raise UserError(
            f"{model.name} has random weights, and metrics of quality would mean nothing",
            where=f"{suite.suite}: metrics",
            fix="write `metrics: []`, or name trained weights",
        )
    side = REFERENCE_SIDES[suite.reference]
    if model.image_side != side:
        raise UserError(
            f"{model.name} draws images {model.image_side} pixels wide, and the reference {suite.reference} has {side}",
            where=f"{suite.suite}: reference",
            fix="choose a reference of the model's own data, or write `metrics: []`",
        )


def _check_served(rule: Rule, model: Entry, guidance: Guidance, where: str) -> None:
    if rule.needs_auxiliary and model.auxiliary is None:
        raise UserError(
            f"{rule.title} needs an auxiliary checkpoint, and {model.name} has none",
            where=where,
            fix="choose another rule or another model",
        )
    if rule.drops_path and not model.can_drop_path:
        raise UserError(
            f"{rule.title} drops the middle path, and {model.name} has none",
            where=where,
            fix="choose another rule, or a model of the sprint family",
        )
    if (guidance.gamma_strong or guidance.gamma_weak) and not model.can_drop_tokens:
        raise UserError(
            f"{model.name} cannot drop tokens", where=where, fix="set the gammas to 0, or give the model a route"
        )


def _check_name(name: str, known: list[str], kind: str, where: str) -> None:
    if name in known:
        return
    raise UserError(
        f"there is no {kind} {name!r}{suggestion(name, known)}", where=where, fix=f"choose one of: {', '.join(known)}"
    )
