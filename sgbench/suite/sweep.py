"""Expand a suite into its cells, and refuse combinations that mean nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from sgbench.errors import UserError
from sgbench.guidance import RULES, Rule
from sgbench.models import catalogue
from sgbench.score.protocols import MINIMUM_SAMPLES, REFERENCES
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
    samplers = [Sampler(suite.sampler.name, steps) for steps in entry.steps or [suite.sampler.steps]]
    for model in entry.model or suite.model:
        _check_name(model, catalogue.names(), "model", where)
        for name in entry.guidance:
            _check_name(name, list(RULES), "guidance rule", f"{where}.guidance")
            for guidance in _settings(RULES[name], entry, where):
                _check_served(RULES[name], model, guidance, where)
                for sampler in samplers:
                    yield Cell(model, guidance, sampler, suite.seed, suite.labels, suite.dtype)


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


def _check_served(rule: Rule, model: str, guidance: Guidance, where: str) -> None:
    entry = catalogue.entry(model)
    if rule.needs_auxiliary and not entry.has_early_checkpoint:
        raise UserError(
            f"{rule.title} needs an auxiliary checkpoint, and {model} has none",
            where=where,
            fix="choose another rule or another model",
        )
    if (guidance.gamma_strong or guidance.gamma_weak) and not entry.can_drop_tokens:
        raise UserError(f"{model} cannot drop tokens", where=where, fix="set the gammas to 0 or choose a sparse model")


def _check_name(name: str, known: list[str], kind: str, where: str) -> None:
    if name in known:
        return
    raise UserError(
        f"there is no {kind} {name!r}{suggestion(name, known)}", where=where, fix=f"choose one of: {', '.join(known)}"
    )
