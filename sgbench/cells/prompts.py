"""Prompt sets: a file of prompts, with a name and a hash that enter every protocol. No torch, no network.

Read are: text, one prompt a line; JSON lines, an object with `prompt` a line (GenEval's metadata is such a file);
a JSON list of strings; CSV with a column `prompt`; a folder of such files, each a group of its own (HPSv2's styles).
"""

import csv
import hashlib
import io
import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from sgbench.base.bounded import read_bounded
from sgbench.base.choices import unknown
from sgbench.base.errors import UserError
from sgbench.base.printable import DIRECTIONS
from sgbench.files.digest import sidecar_path
from sgbench.files.location import is_remote, local_path, models_folder

NOT_FETCHED: Final = "not fetched"
LONGEST: Final = 2_000
MOST: Final = 1_000_000
MOST_BYTES: Final = 1 << 28
SUFFIXES: Final = (".txt", ".jsonl", ".json", ".csv")
GROUP_KEYS: Final = ("group", "tag", "style", "category")
PACKAGED: Final = Path(__file__).parents[1] / "zoo" / "prompts"
Record = Mapping[str, Any]


class Prompt(NamedTuple):
    """One prompt, the group it is scored in (a style, a task; empty if there are none), and the rest of its record."""

    text: str
    group: str
    record: Record


class PromptSet(NamedTuple):
    """Prompts in the order of their file; `sha256` is of their content and does not depend on the format."""

    name: str
    prompts: tuple[Prompt, ...]
    sha256: str

    def describe(self) -> str:
        """The set in a few words, for protocols."""
        return f"{self.name} ({len(self.prompts)} prompts, {self.sha256[:12]})"


class PublicPrompts(NamedTuple):
    """A published set: address of every file, licence, and how many prompts it has."""

    name: str
    files: tuple[tuple[str, str], ...]
    licence: str
    size: int
    source: str
    works: tuple[str, ...]
    """What to cite: keys of `report/citations/references.bib`."""


_GENEVAL = (
    ("geneval.jsonl", "https://raw.githubusercontent.com/djghosh13/geneval/main/prompts/evaluation_metadata.jsonl"),
)
_HPS = tuple(
    (f"{style}.json", f"https://huggingface.co/datasets/zhwang/HPDv2/resolve/main/benchmark/{style}.json")
    for style in ("anime", "concept-art", "paintings", "photo")
)
PUBLIC: Final = {
    entry.name: entry
    for entry in (
        PublicPrompts("geneval", _GENEVAL, "MIT", 553, "GenEval, arXiv 2310.11513", ("ghosh2023geneval",)),
        PublicPrompts("hpsv2", _HPS, "Apache-2.0", 3200, "HPSv2, arXiv 2306.09341", ("wu2023hpsv2",)),
    )
}


def find_prompts(source: str) -> Path:
    """The file or folder of a set, there or not fetched yet, by its name, path or address."""
    if source in PUBLIC:
        return models_folder() / "prompts" / source
    if source in packaged_names():
        return PACKAGED / f"{source}.jsonl"
    return local_path(source)


def packaged_names() -> list[str]:
    """The sets that come with this package."""
    return sorted(path.stem for path in PACKAGED.glob("*.jsonl"))


def is_there(source: str) -> bool:
    """Whether a set is on this machine; of a published one, all of its files."""
    path = find_prompts(source)
    if source in PUBLIC:
        return all((path / file).is_file() for file, _ in PUBLIC[source].files)
    try:
        return path.exists()
    except OSError:  # No file could have such a name.
        return False


def may_come(source: str) -> bool:
    """Whether a set that is not on this machine can be fetched or copied there; any other name is misspelt."""
    return source in PUBLIC or is_remote(source) or "/" in source or Path(source).suffix.lower() in SUFFIXES


def load_prompts(source: str, where: str = "prompts") -> PromptSet:
    """The set that a suite names. Raises UserError where it is missing, and for an invalid prompt."""
    if not is_there(source):
        raise _missing(source, where)
    path = find_prompts(source)
    stamps = tuple((p, p.stat().st_mtime_ns) for p in _files(path))
    return _loaded(source, path, stamps)


def prompts_sha256(source: str) -> str:
    """The digest in a cell's identity; `not fetched` for a set that is not on this machine yet."""
    return load_prompts(source).sha256 if is_there(source) else f"{NOT_FETCHED}: {source}"


@lru_cache(maxsize=32)
def _loaded(source: str, path: Path, stamps: tuple[tuple[Path, int], ...]) -> PromptSet:
    """Read again when a file has changed. The name is that of the suite, or the file's own."""
    name = source if source in PUBLIC or path.parent == PACKAGED else path.stem
    prompts: list[Prompt] = []
    for file, _ in stamps:
        group = file.stem if path.is_dir() else ""
        prompts += [_checked(*found, group) for found in _read(file)]
    if not prompts:
        raise UserError("there are no prompts in it", where=str(path), fix="give at least one")
    if len(prompts) > MOST:
        raise UserError(f"there are {len(prompts)} prompts in it", where=str(path), fix=f"give at most {MOST}")
    return _named(name, prompts)


def from_records(name: str, records: Sequence[Record], where: str) -> PromptSet:
    """A set from records with `prompt`, as they come with images. Raises UserError for an invalid prompt."""
    found = [_checked(f"{where}: prompt {number}", record, "") for number, record in enumerate(records, start=1)]
    return _named(name, found)


def _named(name: str, prompts: Sequence[Prompt]) -> PromptSet:
    try:
        content = json.dumps([[p.text, p.group, dict(p.record)] for p in prompts], sort_keys=True, ensure_ascii=True)
    except RecursionError as error:
        raise UserError(
            "a prompt's record is nested too deeply", where=name, fix="leave out what is not a prompt"
        ) from error
    return PromptSet(name, tuple(prompts), hashlib.sha256(content.encode()).hexdigest())


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    # Notes on fetched files are not prompts.
    return [p for p in found if p not in {sidecar_path(file) for file in found}]


def _read(path: Path) -> Iterator[tuple[str, Record]]:
    """(place in the file, record with `prompt`) of every prompt. Raises UserError for a file of another kind."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(
            f"{path.suffix or 'a file without ending'} is not a format of prompts",
            where=str(path),
            fix=f"give one of {', '.join(SUFFIXES)}, or a folder of them",
        )
    try:
        text = read_bounded(path, MOST_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the prompts cannot be read ({error})", where=str(path), fix="give UTF-8 text") from error
    yield from {".txt": _text, ".jsonl": _json_lines, ".json": _json_list, ".csv": _table}[path.suffix.lower()](
        text, str(path)
    )


def numbered_lines(text: str, path: str) -> Iterator[tuple[str, str]]:
    """(place in the file, line) of every line that is not blank."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield f"{path}: line {number}", line.strip()


def _text(text: str, path: str) -> Iterator[tuple[str, Record]]:
    for where, line in numbered_lines(text, path):
        yield where, {"prompt": line}


def _json_lines(text: str, path: str) -> Iterator[tuple[str, Record]]:
    for where, line in numbered_lines(text, path):
        record = _json(line, where)
        if not isinstance(record, dict) or "prompt" not in record:
            raise UserError("the line is not an object with `prompt`", where=where, fix='write {"prompt": "..."}')
        yield where, record


def _json_list(text: str, path: str) -> Iterator[tuple[str, Record]]:
    found = _json(text, path)
    if not isinstance(found, list):
        raise UserError("the file is not a list of prompts", where=path, fix='write ["...", "..."]')
    for number, prompt in enumerate(found, start=1):
        yield f"{path}: entry {number}", prompt if isinstance(prompt, dict) else {"prompt": prompt}


def _table(text: str, path: str) -> Iterator[tuple[str, Record]]:
    table = csv.DictReader(io.StringIO(text))
    try:
        # DrawBench's own file says Prompts and Category.
        names = {name: name.strip().lower() for name in table.fieldnames or []}
        known = {name: "prompt" if low in ("prompt", "prompts") else low for name, low in names.items()}
        if list(known.values()).count("prompt") != 1:
            raise UserError(
                "there is not exactly one column `prompt`",
                where=f"{path}: line 1",
                fix="name exactly one column `prompt`",
            )
        for row in table:
            found = {known[k]: v for k, v in row.items() if k in known and v is not None}
            yield f"{path}: line {table.line_num}", found
    except csv.Error as error:
        raise UserError(f"it is not CSV ({error})", where=f"{path}: line {table.line_num}", fix="fix it") from error


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"it is not JSON ({error})", where=where, fix="fix it") from error


def _checked(where: str, record: Record, group: str) -> Prompt:
    """A prompt that is safe for any model. Markup stays as it is: reports escape it."""
    text = record.get("prompt")
    if not isinstance(text, str) or not text.strip():
        raise UserError("the prompt is empty", where=where, fix="write one, or remove the entry")
    if len(text) > LONGEST:
        raise UserError(f"the prompt has {len(text)} characters", where=where, fix=f"write at most {LONGEST}")
    own = next((str(record[key]) for key in GROUP_KEYS if isinstance(record.get(key), str | int)), group)
    # Cc: control characters; Cs: half a surrogate pair, which is not text; directions make text look different.
    for name, part in (("prompt", text), ("group", own)):
        bad = next((c for c in part if unicodedata.category(c) in ("Cc", "Cs") or c in DIRECTIONS), None)
        if bad is not None:
            raise UserError(f"the {name} holds the control character U+{ord(bad):04X}", where=where, fix="remove it")
    rest = {key: value for key, value in record.items() if key != "prompt"}
    return Prompt(text.strip(), own, MappingProxyType(rest))


def _missing(source: str, where: str) -> UserError:
    if source in PUBLIC or is_remote(source):
        return UserError(
            f"the prompts {source} are not on this machine", where=where, fix=f"run `sgbench prompts fetch {source}`"
        )
    known = [*PUBLIC, *packaged_names()]
    return unknown("prompts", source[:200], known, where, fix=f"give a file, or one of {', '.join(known)}")
