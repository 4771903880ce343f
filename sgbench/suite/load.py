"""Read a suite file. Every fault is one sentence: what, in which file and key, and what to do."""

import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from sgbench.base.bounded import read_bounded
from sgbench.base.choices import suggestion, unknown
from sgbench.base.errors import UserError
from sgbench.base.printable import shortened
from sgbench.base.processor import automatic_dtype
from sgbench.base.registry import load_installed
from sgbench.files.yaml_file import parse_yaml
from sgbench.suite.library import locate, nearest
from sgbench.suite.own_code import bring
from sgbench.suite.schema import Preset, Suite, suite_class

MOST_BYTES = 8 << 20
LONGEST_VALUE = 200


def load_suite(path: str | Path, preset: str | None = None, recall: Callable[[str], None] | None = None) -> Suite:
    """The suite in the file `path`, or the one of that name that comes with sgbench, with `preset` applied.

    Files of the user's own that it names are loaded. With `recall` no code is run: it is called with the suite's name,
    to bring what results have a record of. Raises UserError for anything wrong in the file.
    """
    path = locate(path)
    content = _read(path)
    if recall is None:
        load_installed()
    elif isinstance(content.get("suite"), str):
        recall(content["suite"])
    content, own = bring(content, path, closed=recall is not None)
    suite = _validated(content, path)
    if preset is not None:
        suite = _apply(suite, _find_preset(suite, preset, path))
    # Cells hold the resolved dtype, since it changes the images.
    suite = suite.model_copy(update={"dtype": automatic_dtype()}) if suite.dtype == "auto" else suite
    return suite.read_from(str(path), own)


def _find_preset(suite: Suite, preset: str, path: Path) -> Preset:
    if preset not in suite.presets:
        known = ", ".join(suite.presets) or "none"
        raise unknown("preset", preset, suite.presets, f"{path}: presets", f"choose one of: {known}")
    return suite.presets[preset]


def _read(path: Path) -> dict[str, Any]:
    try:
        content = parse_yaml(read_bounded(path, MOST_BYTES).decode("utf-8-sig"))
    except FileNotFoundError as error:
        fix = "check the path, or give a name that `sgbench suites list` shows"
        raise UserError(f"there is no such suite file{nearest(path)}", where=str(path), fix=fix) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the suite file cannot be read ({error})", where=str(path), fix="check the file") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"{path}, line {mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise UserError(f"the file is not valid YAML ({problem})", where=line, fix="fix that line") from error
    if not isinstance(content, dict):
        raise UserError(
            "a suite file must be a mapping of keys",
            where=str(path),
            fix="start from `sgbench suites copy fashion-mnist`",
        )
    return content


def _validated(content: dict[str, Any], path: Path) -> Suite:
    try:
        return suite_class().model_validate(content)
    except ValidationError as error:
        raise _explain(error, path) from error


def _apply(suite: Suite, preset: Preset) -> Suite:
    return suite.model_copy(update={key: value for key, value in preset if value is not None})


def _explain(error: ValidationError, path: Path) -> UserError:
    first = error.errors()[0]
    key = _spell(first["loc"])
    more = f" ({error.error_count() - 1} more after it)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        known = _keys_at(first["loc"][:-1])
        name = str(first["loc"][-1])
        return UserError(
            f"unknown key {name!r}{suggestion(name, known)}{more}",
            where=f"{path}: {key}",
            fix=f"known keys are {', '.join(known)}",
        )
    if first["type"] == "missing":
        return UserError(f"the key is missing{more}", where=f"{path}: {key}", fix="add it")
    message = first["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    given = shortened(repr(first["input"]), LONGEST_VALUE)
    return UserError(f"{message}, but {given} was given{more}", where=f"{path}: {key}", fix="correct the value")


def _spell(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    """Names of the keys allowed at a place of the file, found by walking the schema."""
    here: Any = suite_class()
    for part in location:
        # A list's index and a mapping's key lead to the element type, which the field before gave already.
        if part in here.model_fields:
            here = _inner(here.model_fields[part].annotation)
    return list(here.model_fields)


def _inner(annotation: Any) -> Any:
    """The model inside list[Model], dict[str, Model], Model | None, or any of them with conditions on it."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _inner(typing.get_args(annotation)[0])
    if origin in (list, dict, typing.Union, types.UnionType):
        for argument in reversed(typing.get_args(annotation)):
            if argument is not type(None):
                return _inner(argument)
    return annotation
