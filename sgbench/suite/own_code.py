"""What a suite takes from files of the user's own: `mine.py:RULE` stands where a name does. No torch."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sgbench.base.errors import UserError
from sgbench.base.registry import REGISTRIES, Registry, load_installed
from sgbench.base.user_code import FORM, is_reference, locate, packed, unpack
from sgbench.guidance import RULES
from sgbench.guidance.segments import JOINT
from sgbench.metrics.catalogue import METRICS
from sgbench.metrics.extractors import EXTRACTORS
from sgbench.models import custom
from sgbench.models.own import MODELS, spell_options, split_reference
from sgbench.samplers.catalogue import SAMPLERS
from sgbench.samplers.settings import Sampler


class Own(NamedTuple):
    """A thing of the user's own that a suite names."""

    what: str
    """Its kind, as the registry calls it."""
    name: str
    reference: str
    """As the suite has it, relative to the suite's folder."""
    folder: str
    """The suite's folder, absolute; empty for what an installed package offers and for a network of this process."""
    sha256: str


Found = dict[tuple[str, str], Own]
Packed = tuple[Own, tuple[tuple[str, bytes], ...]]
"""A thing and the files of its code, by their paths."""


def bring(content: dict[str, Any], path: Path, closed: bool = False) -> tuple[dict[str, Any], tuple[Own, ...]]:
    """A suite's content with names in place of references, and what they stand for, which is in its registry then.

    With `closed` no code is run: things are those that results have a record of. Raises UserError for a file or an
    object that is not there, fails, or is of another kind, and for names that are taken.
    """
    found: Found = {}
    folder = path.absolute().parent

    def names(given: Any, registry: Registry[Any], where: str) -> Any:
        return _renamed(given, where, lambda value, at: _brought(value, registry, folder, at, closed, found))

    def models(given: Any, where: str) -> Any:
        if isinstance(given, list):
            return [models(one, f"{where}[{number}]") for number, one in enumerate(given)]
        if not isinstance(given, Mapping) or "custom" not in given:
            return given
        one = custom.bring(given, folder, where, closed)
        found[MODELS.what, one.name] = Own(MODELS.what, one.name, one.reference, str(folder), one.sha256)
        return one.model

    made = dict(content)
    if "model" in made:
        made["model"] = models(made["model"], f"{path}: model")
    if "metrics" in made:
        made["metrics"] = names(made["metrics"], METRICS, f"{path}: metrics")
    if isinstance(made.get("sampler"), Mapping):
        made["sampler"] = _with(made["sampler"], "name", SAMPLERS, f"{path}: sampler", names)
    for place, holder in _sweeps(made):
        at = f"{path}: {place}"
        holder["sweep"] = [
            _entry(entry, f"{at}[{number}]", names, models) if isinstance(entry, Mapping) else entry
            for number, entry in enumerate(holder["sweep"])
        ]
    return made, tuple(found.values())


def bring_again(own: Iterable[Own]) -> None:
    """Bring what another process of the same suite has brought. Raises UserError where the code is not the same."""
    load_installed()
    for one in own:
        if custom.is_live(one.name):
            # No other process has it; whoever reads results knows it by its record.
            continue
        registry = next(registry for registry in REGISTRIES if registry.what == one.what)
        if one.folder:
            registry.bring(one.reference, Path(one.folder), one.reference)
        if registry.origin(one.name).sha256 != one.sha256:
            raise UserError("the code has changed meanwhile", where=one.reference, fix="run the same command again")


def packed_own(own: Iterable[Own]) -> tuple[Packed, ...]:
    """What other machines need to bring the same: its files, by their digest."""
    return tuple((one, _packed(one)) for one in own)


def _packed(one: Own) -> tuple[tuple[str, bytes], ...]:
    code, _ = split_reference(one.reference)
    return packed(locate(code, Path(one.folder), one.reference)) if one.folder and is_reference(code) else ()


def bring_packed(own: Iterable[Packed], folder: Path) -> None:
    """Bring what another machine has packed, from files below `folder`, in place of what was brought before."""
    for registry in REGISTRIES:
        registry.drop_brought()
    for one, files in own:
        place = folder / one.sha256
        unpack(files, place)
        code, options = split_reference(one.reference)
        match = FORM.fullmatch(code)
        if not files or match is None:
            bring_again([one])
            continue
        measured = f"{match['measured']}@" if match["measured"] else ""
        reference = f"{measured}{files[0][0]}:{match['name']}{spell_options(options)}"
        bring_again([one._replace(reference=reference, folder=str(place))])


def own_of(model: str, rule: str, sampler: Sampler) -> tuple[tuple[str, str], ...]:
    """Kind and name, and sha256, of each thing of a cell that does not come with sgbench.

    `model` is the name in MODELS of a model that a user brought, or empty.
    """
    pairs: list[tuple[Registry[Any], str]] = [(RULES, part) for part in rule.split(JOINT)]
    pairs += [(SAMPLERS, sampler.name), (MODELS, model)]
    own = {f"{registry.what} {name}": registry.origin(name).sha256 for registry, name in pairs}
    return tuple(sorted((key, sha256) for key, sha256 in own.items() if sha256))


def is_closed(own: tuple[tuple[str, str], ...]) -> bool:
    """Whether any of these is known from a record of results alone."""
    origins = {f"{registry.what} {name}": one for registry in REGISTRIES for name, one in registry.origins.items()}
    return any(key in origins and origins[key].closed for key, _ in own)


def _sweeps(made: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The places of a suite that hold a sweep, as copies that may be changed."""
    if isinstance(made.get("sweep"), list):
        yield "sweep", made
    if isinstance(made.get("presets"), Mapping):
        made["presets"] = {name: dict(p) if isinstance(p, Mapping) else p for name, p in made["presets"].items()}
        for name, preset in made["presets"].items():
            if isinstance(preset, dict) and isinstance(preset.get("sweep"), list):
                yield f"presets.{name}.sweep", preset


def _entry(
    entry: Mapping[str, Any], where: str, names: Callable[..., Any], models: Callable[[Any, str], Any]
) -> dict[str, Any]:
    made = _with(_with(entry, "guidance", RULES, where, names), "sampler", SAMPLERS, where, names)
    if "model" in made:
        made["model"] = models(made["model"], f"{where}.model")
    if isinstance(made.get("segments"), list):
        made["segments"] = [
            _with(one, "guidance", RULES, f"{where}.segments[{number}]", names) if isinstance(one, Mapping) else one
            for number, one in enumerate(made["segments"])
        ]
    return made


def _with(
    given: Mapping[str, Any], key: str, registry: Registry[Any], where: str, names: Callable[..., Any]
) -> dict[str, Any]:
    return {**given, key: names(given[key], registry, f"{where}.{key}")} if key in given else dict(given)


def _renamed(given: Any, where: str, name: Callable[[str, str], str]) -> Any:
    if isinstance(given, list):
        return [name(one, f"{where}[{n}]") if isinstance(one, str) else one for n, one in enumerate(given)]
    return name(given, where) if isinstance(given, str) else given


def _brought(reference: str, registry: Registry[Any], folder: Path, where: str, closed: bool, found: Found) -> str:
    if not is_reference(reference):
        if reference in registry.origins:
            origin = registry.origin(reference)
            found[registry.what, reference] = Own(registry.what, reference, origin.text, "", origin.sha256)
            _note_extractor(registry, reference, folder, found)
        return reference
    code = locate(reference, folder, where)
    name = _recorded(code.sha256, reference, registry, where) if closed else registry.bring(reference, folder, where)
    if registry.built_in(name):
        # A file may hand on what comes with sgbench.
        return name
    found[registry.what, name] = Own(registry.what, name, reference, str(folder), code.sha256)
    _note_extractor(registry, name, folder, found)
    return name


def _note_extractor(registry: Registry[Any], name: str, folder: Path, found: Found) -> None:
    """The extractor of a metric, where it does not come with sgbench either."""
    extractor = METRICS[name].extractor if registry is METRICS else ""
    if extractor in EXTRACTORS.origins:
        origin = EXTRACTORS.origin(extractor)
        at = str(folder) if is_reference(origin.text) else ""
        found["extractor", extractor] = Own("extractor", extractor, origin.text, at, origin.sha256)


def _recorded(sha256: str, reference: str, registry: Registry[Any], where: str) -> str:
    """The name of a thing that results have a record of, or that this process has brought."""
    match = FORM.fullmatch(reference)

    def alike(text: str) -> bool:
        other = FORM.fullmatch(text)
        if match is None or other is None:
            return False
        return match.group("measured", "name") == other.group("measured", "name")

    name = registry.recall(sha256, alike, where)
    if name is not None:
        return name
    raise UserError(
        f"the results hold nothing of {reference} as the file is now",
        where=where,
        fix="run `sgbench bench` with the suite, which makes what is missing",
    )
