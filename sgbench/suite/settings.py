"""From a sweep entry to the settings of one rule: every combination, each value checked against the rule's ranges."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

from sgbench.base.errors import UserError
from sgbench.guidance import RULES, Rule
from sgbench.guidance.branches import Parameter
from sgbench.guidance.schedules import Gamma, gamma_at, spell
from sgbench.guidance.settings import NEUTRAL, OPTIONAL, Guidance, Value
from sgbench.models.catalogue import ModelInfo
from sgbench.suite.schema import GuidanceKeys, parameter_names

# How tokens are chosen; all other optional settings are of rules that call more than one branch.
CHOOSING = ("subset", "sharing")
STEERING = tuple(name for name in OPTIONAL if name not in CHOOSING)
PROGRESS_POINTS = 101


def guidance_settings(rule: Rule, entry: GuidanceKeys, model: ModelInfo, where: str) -> Iterator[Guidance]:
    """Every combination of the entry's values for one rule. Raises UserError for what it does not take."""
    scales = _scales(rule, entry, where)
    strong = _gammas(rule, entry.gamma_strong, rule.takes_gamma_strong, "gamma_strong", where)
    weak = _gammas(rule, entry.gamma_weak, rule.takes_gamma_weak, "gamma_weak", where)
    steering = [_common(rule, entry, key, rule.guided, where) for key in STEERING]
    # How tokens are chosen matters if any are dropped; sharing them, if both branches drop some.
    drops = {"subset": any(strong) or any(weak), "sharing": any(strong) and any(weak)}
    choosing = [_common(rule, entry, key, drops[key], where) for key in CHOOSING]
    parameters = list(_parameters(rule, entry, model, where))
    for scale, gamma_strong, gamma_weak in itertools.product(scales, strong, weak):
        if rule.sparser_weak:
            _check_sparser(rule, gamma_strong, gamma_weak, where)
        alone = rule.takes_scale and scale == 1 and rule.perturbed is None and not rule.replaces_update
        # The strong branch alone has nothing to steer.
        settled = [[NEUTRAL[key]] for key in STEERING] if alone else steering
        # A cell whose own gammas are 0 drops nothing, whatever other cells of the entry do.
        dropped = {"subset": gamma_strong or gamma_weak, "sharing": gamma_strong and gamma_weak}
        choices = [values if dropped[key] else [NEUTRAL[key]] for key, values in zip(CHOOSING, choosing, strict=True)]
        for *chosen, own in itertools.product(*settled, *choices, parameters):
            optional = dict(zip((*STEERING, *CHOOSING), chosen, strict=True))
            optional["channels"] = _channels(optional["channels"], model, where)
            yield Guidance(rule.name, scale, gamma_strong, gamma_weak, **optional, parameters=own)


def _scales(rule: Rule, entry: GuidanceKeys, where: str) -> Sequence[float]:
    if entry.scale is None:
        if not rule.takes_scale or rule.scale_default is not None:
            return [rule.scale_default or 1.0]
        raise UserError(f"{rule.title} needs scale", where=where, fix="add `scale: ...`")
    if not rule.takes_scale:
        raise UserError(f"{rule.title} has no scale", where=f"{where}.scale", fix="remove the key")
    low, high = rule.scale_range
    for scale in entry.scale:
        # At 0 the strong branch would not count.
        if not low <= scale <= high or scale == 0:
            limits = f"of at least {low:g}" if math.isinf(high) else f"above {low:g}, up to {high:g}"
            raise UserError(
                f"{rule.title} takes scales {limits}, not {scale:g}",
                where=f"{where}.scale",
                fix="correct the scale: w = 1 is the strong branch alone",
            )
    return entry.scale


def _gammas(rule: Rule, given: Sequence[Gamma] | None, taken: bool, key: str, where: str) -> Sequence[Gamma]:
    if given is not None and not taken:
        because = f": {rule.dense_because}" if rule.dense_because else ""
        raise UserError(f"{rule.title} has no {key}{because}", where=f"{where}.{key}", fix="remove the key")
    if given is not None:
        return given
    if taken and rule.gammas_default is None:
        raise UserError(f"{rule.title} needs {key}", where=where, fix=f"add `{key}: ...`")
    return [0.0]


def _common(rule: Rule, entry: GuidanceKeys, key: str, meaningful: bool, where: str) -> Sequence[Any]:
    given: Sequence[Any] | None = getattr(entry, key)
    if given is None:
        return [NEUTRAL[key]]
    if not meaningful:
        whys = {"subset": "it drops no tokens", "sharing": "it does not drop tokens in two branches"}
        why = whys.get(key, "it has a single branch")
        raise UserError(f"{rule.title} has no {key}: {why}", where=f"{where}.{key}", fix="remove the key")
    return given


def _channels(value: int | str | None, model: ModelInfo, where: str) -> int | None:
    """The number of guided channels; None for the model's own number, so that equal cells have equal ids."""
    if value is None:
        return None
    channels = model.architecture.in_channels
    if isinstance(value, int) and value > channels:
        raise UserError(
            f"{value} channels cannot be guided: {model.name} has {channels}",
            where=f"{where}.channels",
            fix="lower the number, or write all",
        )
    asked = channels if value == "all" else int(value)
    return None if asked == min(model.family.guided_channels or channels, channels) else asked


def _check_sparser(rule: Rule, strong: Gamma, weak: Gamma, where: str) -> None:
    points = (index / (PROGRESS_POINTS - 1) for index in range(PROGRESS_POINTS))
    if all(gamma_at(strong, point) < gamma_at(weak, point) for point in points):
        return
    raise UserError(
        f"gamma_strong {spell(strong)} is not below gamma_weak {spell(weak)}: with one checkpoint, "
        f"{rule.title} steers away from the sparser prediction",
        where=where,
        fix="lower gamma_strong, raise gamma_weak, or split the entry in two",
    )


def _parameters(
    rule: Rule, entry: GuidanceKeys, model: ModelInfo, where: str
) -> Iterator[tuple[tuple[str, Value], ...]]:
    """Every combination of the rule's own settings, all of them named."""
    own = {parameter.name: parameter for parameter in rule.parameters}
    for name in parameter_names():
        if name not in own and getattr(entry, name, None) is not None:
            takers = ", ".join(other.title for other in RULES.values() if name in {p.name for p in other.parameters})
            raise UserError(
                f"{rule.title} has no {name}, which belongs to {takers}", where=f"{where}.{name}", fix="remove the key"
            )
    blocks = model.architecture.block_macs(model.architecture.grid_tokens)
    listed = [_values(rule, p, getattr(entry, p.name), p.usual(blocks), where) for p in rule.parameters]
    for values in itertools.product(*listed):
        yield tuple(zip(own, values, strict=True))


def _values(
    rule: Rule, parameter: Parameter, given: Sequence[Value] | None, usual: Value | None, where: str
) -> Sequence[Value]:
    if given is None:
        if usual is None:
            raise UserError(
                f"{rule.title} needs {parameter.name}: {parameter.meaning}",
                where=where,
                fix=f"add `{parameter.name}: ...`",
            )
        return [usual]
    if parameter.text is not None:
        return given
    for number in given:
        assert isinstance(number, int | float)
        # Infinity is valid only where it is the default.
        endless = math.isinf(number) and number != parameter.default
        if endless or not parameter.low <= number <= parameter.high or (parameter.whole and number != int(number)):
            kind = "whole numbers" if parameter.whole else "numbers"
            limits = f"from {parameter.low:g}" + ("" if math.isinf(parameter.high) else f" to {parameter.high:g}")
            raise UserError(
                f"{parameter.name} of {rule.title} takes {kind} {limits}, not {number:g}",
                where=f"{where}.{parameter.name}",
                fix="correct the value",
            )
    return given
