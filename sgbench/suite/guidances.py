"""From a sweep entry to what guides its cells: rules and presets by name, one at a time or by segments of sampling."""

import itertools
from collections.abc import Iterator

from sgbench.base.choices import unknown
from sgbench.base.errors import UserError
from sgbench.guidance import RULES
from sgbench.guidance.presets import PRESETS
from sgbench.guidance.schedules import ALWAYS
from sgbench.guidance.segments import JOINT, segmented
from sgbench.guidance.settings import Guidance
from sgbench.models.catalogue import ModelInfo
from sgbench.suite.schema import GuidanceKeys, SweepEntry
from sgbench.suite.settings import guidance_settings


def guidances(entry: SweepEntry, model: ModelInfo, where: str) -> Iterator[Guidance]:
    """Every guidance of an entry. Raises UserError for what a rule does not take and for segments that overlap."""
    if entry.segments is None:
        yield from _of_keys(entry, model, where)
        return
    for key, value in entry:
        if value is not None and key in GuidanceKeys.model_fields:
            raise UserError(
                f"an entry with segments has no {key} of its own",
                where=f"{where}.{key}",
                fix=f"give {key} in the segments, or `guidance` in place of them",
            )
    parts = [_of_segment(one, model, f"{where}.segments[{number}]") for number, one in enumerate(entry.segments)]
    stopping = {guidance.rule for part in parts for guidance in part if RULES[guidance.rule].stop is not None}
    if sum(any(guidance.rule in stopping for guidance in part) for part in parts) > 1:
        raise UserError(
            f"{' and '.join(sorted(stopping))} would stop guidance in more than one segment",
            where=f"{where}.segments",
            fix="choose another rule for all but one",
        )
    for chosen in itertools.product(*parts):
        try:
            yield segmented(chosen)
        except ValueError as error:
            raise UserError(str(error), where=f"{where}.segments", fix="correct the intervals") from error


def _of_segment(keys: GuidanceKeys, model: ModelInfo, where: str) -> list[Guidance]:
    if keys.interval is None or ALWAYS in keys.interval:
        raise UserError(
            "a segment acts in a part of sampling",
            where=f"{where}.interval",
            fix="give an interval, such as `progress 0 to 0.5` or `noise 0.5 to 1`",
        )
    whole = keys.model_copy(update={"interval": None})
    found = []
    for guidance in _of_keys(whole, model, where):
        if RULES[guidance.rule].replaces_update:
            raise UserError(
                f"{RULES[guidance.rule].title} takes steps of its own, from the first to the last",
                where=f"{where}.guidance",
                fix="choose another rule for the segment",
            )
        found += [guidance._replace(interval=interval) for interval in keys.interval]
    return found


def _of_keys(keys: GuidanceKeys, model: ModelInfo, where: str) -> Iterator[Guidance]:
    if keys.guidance is None:
        raise UserError("the key is missing", where=f"{where}.guidance", fix="add it")
    for name in keys.guidance:
        rule, complete = _resolve(name, keys, where)
        yield from guidance_settings(RULES[rule], complete, model, where)


def _resolve(name: str, keys: GuidanceKeys, where: str) -> tuple[str, GuidanceKeys]:
    """A rule's name as it is; a preset's as its rule and the keys with the preset's settings."""
    known = [rule for rule in RULES if JOINT not in rule]
    if name in known:
        return name, keys
    if name not in PRESETS:
        raise unknown("guidance rule", name, [*known, *PRESETS], f"{where}.guidance")
    preset = PRESETS[name]
    for key in preset.settings:
        if getattr(keys, key) is not None:
            raise UserError(
                f"{name} is {preset.rule} with its own {key}",
                where=f"{where}.{key}",
                fix=f"remove the key, or write `guidance: {preset.rule}`",
            )
    return preset.rule, keys.model_copy(update={key: [value] for key, value in preset.settings.items()})
