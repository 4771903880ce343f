"""What results keep of a user's rule: all but its functions, so that a report need not run its file. No torch."""

from dataclasses import fields
from functools import cache
from typing import Any, NoReturn

from sgbench.base.errors import UserError
from sgbench.base.registry import as_tuple
from sgbench.guidance.branches import Branch, OfBlocks, Parameter, Rule, Style
from sgbench.guidance.perturbation import Perturbation
from sgbench.guidance.settings import Value, plain, value_of

NUMBERS = ("low", "high")
KEPT = (
    *("name", "title", "source", "formula", "scale_default", "sparser_weak", "gammas_default", "dense_because"),
    *("space", "samplers", "replaces_update", "note", "works", "rank"),
)


def rule_record(rule: Rule) -> dict[str, Any]:
    """The facts of a rule as JSON takes them."""
    return {
        **{name: getattr(rule, name) for name in KEPT},
        "scale_range": [plain(end) for end in rule.scale_range],
        "branches": {name: _branch_record(branch) for name, branch in rule.named.items()},
        "parameters": [_parameter_record(parameter) for parameter in rule.parameters],
        "combine": rule.combine is not None,
        "stop": rule.stop is not None,
        "style": list(rule.style),
        "example": {name: plain(value) for name, value in rule.example.items()},
    }


def closed_rule(record: dict[str, Any]) -> Rule:
    """A rule that can be named, checked and drawn, and not run.

    Raises KeyError, TypeError or ValueError for anything that is no record of a rule.
    """
    branches = {name: _branch_of(branch) for name, branch in record["branches"].items()}
    low, high = map(float, record["scale_range"])
    return Rule(
        **{name: as_tuple(record[name]) for name in KEPT},
        strong=branches.pop("strong"),
        weak=branches.pop("weak", None),
        perturbed=branches.pop("perturbed", None),
        others=branches,
        parameters=tuple(_parameter_of(parameter) for parameter in record["parameters"]),
        scale_range=(low, high),
        combine=_closed if record["combine"] else None,
        stop=_closed if record["stop"] else None,
        style=Style(*record["style"]),
        example=record["example"],
    )


def _branch_record(branch: Branch) -> dict[str, Any]:
    found = {field.name: getattr(branch, field.name) for field in fields(branch)}
    kind = branch.perturbation
    return {**found, "perturbation": None if kind is None else _perturbation_record(kind)}


def _branch_of(record: dict[str, Any]) -> Branch:
    kind = record["perturbation"]
    return Branch(**{**record, "perturbation": None if kind is None else _closed_perturbation(**kind)})


def _perturbation_record(kind: type[Perturbation]) -> dict[str, Any]:
    return {name: getattr(kind, name) for name in ("name", "meaning", "skips_blocks", "draws_blocks")}


@cache
def _closed_perturbation(**facts: Any) -> type[Perturbation]:
    return type("ClosedPerturbation", (Perturbation,), {**facts, "attention": _closed, "added_macs": _closed})


def _parameter_record(parameter: Parameter) -> dict[str, Any]:
    found = {field.name: getattr(parameter, field.name) for field in fields(parameter)}
    default = parameter.default
    return {
        **{name: plain(value) if name in NUMBERS else value for name, value in found.items()},
        "default": {"of_blocks": default.meaning} if isinstance(default, OfBlocks) else plain(default),
    }


def _parameter_of(record: dict[str, Any]) -> Parameter:
    given: dict[str, Any] = {name: float(value) if name in NUMBERS else value for name, value in record.items()}
    return Parameter(**{**given, "default": _default_of(record["default"])})


def _default_of(record: Any) -> Value | OfBlocks | None:
    if isinstance(record, dict):
        return OfBlocks(record["of_blocks"], _closed)
    return None if record is None else value_of(record)


def _closed(*_: Any) -> NoReturn:
    raise UserError(
        "the rule is known from a record of results alone",
        where="a user's rule",
        fix="run the suite, which loads its file",
    )
