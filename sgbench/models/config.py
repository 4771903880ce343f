"""A published config: the arguments of a family's constructor, from a JSON or YAML file or as text. No torch.

What of it makes the network is kept as JSON with sorted keys, so that two files which say the same are one model.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from sgbench.base.bounded import read_bounded
from sgbench.base.choices import suggestion
from sgbench.base.errors import UserError, plain
from sgbench.files.yaml_file import parse_yaml
from sgbench.models.architecture import Architecture
from sgbench.models.family import CHECKED, Family

MOST_BYTES = 8_000


class _Read(Mapping[str, Any]):
    """A config that notes which of its arguments were asked for."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.asked: dict[str, None] = {}

    def __getitem__(self, key: str) -> Any:
        self.asked[key] = None
        return self.config[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.config)

    def __len__(self) -> int:
        return len(self.config)


def canonical(given: object, family: Family, where: str) -> str:
    """The arguments that make the network, as JSON. `given` is a file's path, a JSON object as text, or a mapping.

    Raises UserError for a file that cannot be read, for arguments that the constructor does not have or that the
    network cannot follow, and for sizes that make no network.
    """
    text = str(given)
    named = not isinstance(given, Mapping) and not text.startswith("{")
    place = f"{where}: {text}" if named else f"{where}: config"
    content = given if isinstance(given, Mapping) else _content(Path(text).expanduser() if named else text, place)
    return _checked(content, family, place)


def architecture_of(config: str, family: Family) -> Architecture:
    """The record that a canonical config makes."""
    return family.from_config(json.loads(config))


def reason(error: Exception) -> str:
    """Why arguments make no record, in a few words."""
    if isinstance(error, KeyError):
        return f"{error} is missing or unknown"
    location = error.errors()[0]["loc"] if isinstance(error, ValidationError) else ()
    return ": ".join([*map(str, location), plain(error)])


def _content(source: Path | str, where: str) -> Mapping[str, Any]:
    """The mapping in a file, or in the text of a JSON object."""
    try:
        text = source if isinstance(source, str) else read_bounded(source, MOST_BYTES).decode("utf-8-sig")
        as_json = isinstance(source, str) or source.suffix == ".json"
        content = json.loads(text, object_pairs_hook=_once) if as_json else parse_yaml(text)
    except FileNotFoundError as error:
        raise UserError("there is no such config file", where=where, fix="correct the path") from error
    except OSError as error:
        raise UserError(f"the config cannot be read ({error.strerror})", where=where, fix="check the file") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        problem = getattr(error, "problem", None) or plain(error)
        raise UserError(f"the config is neither JSON nor YAML ({problem})", where=where, fix="correct it") from error
    if not isinstance(content, dict):
        raise UserError("the config is not a mapping", where=where, fix="write one argument a line, `depth: 20`")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object with every key once. Raises ValueError for another."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found


def _checked(content: Mapping[str, Any], family: Family, where: str) -> str:
    read = _Read(content)
    try:
        family.from_config(read)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"the config makes no {family.title} ({reason(error)})"
        raise UserError(what, where=where, fix="give the published constructor's arguments") from error
    for key, value in content.items():
        if key in family.fixed and value != family.fixed[key]:
            what = f"{key} is {value!r}, and of {family.title} only {family.fixed[key]!r} is supported"
            raise UserError(what, where=where, fix="correct it if the network is so, or choose another family")
        if key not in {*read.asked, *family.fixed, *family.unused}:
            what = f"{family.title} has no argument {key!r}{suggestion(key, [*read.asked])}"
            raise UserError(what, where=where, fix="correct its name, or leave it out")
    made_by = {key: value for key, value in content.items() if key in read.asked and key not in CHECKED}
    text = json.dumps(made_by, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if len(text) > MOST_BYTES:
        raise UserError(
            f"the config has more than {MOST_BYTES:,} letters", where=where, fix="leave out what is not read"
        )
    return text
