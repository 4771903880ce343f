"""What results keep of a user's rules, samplers and metrics, for those who read results and run no code. No torch.

`own_code.json` lists them by kind and name, every version that ran, the newest last: the reference, the sha256 of the
code, and the facts that its registry records. Reading it adds closed things to the registries, beside what is built in
or loaded in this process.
"""

from pathlib import Path
from typing import Any, Final

from sgbench.base.errors import UserError
from sgbench.base.registry import REGISTRIES, Origin
from sgbench.results.verified_files import read_record, record_bytes
from sgbench.suite.own_code import Own
from sgbench.suite.schema import LONGEST_NAME

FILE: Final = "own_code.json"


def own_code_bytes(folder: Path, own: tuple[Own, ...]) -> bytes | None:
    """The file's content with `own` among what it holds; None where nothing changes."""
    before = read_record(folder / FILE).content or {}
    kept: dict[str, Any] = {what: dict(things) for what, things in before.items() if isinstance(things, dict)}
    for registry in REGISTRIES:
        for one in own:
            if one.what == registry.what and not registry.origin(one.name).closed:
                facts = registry.record(registry[one.name])
                entry = {"reference": one.reference, "sha256": one.sha256, "facts": facts}
                versions = kept.setdefault(one.what, {}).get(one.name, [])
                others = [version for version in versions if version["sha256"] != one.sha256]
                kept[one.what][one.name] = [*others, entry]
    made = record_bytes(kept)
    path = folder / FILE
    return None if not own or (path.is_file() and path.read_bytes() == made) else made


def recall(folder: Path) -> None:
    """Add what a folder of results has a record of. What this process knows by its code stays as it is.

    Raises UserError for a record that is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return
    found = read_record(path)
    if found.content is None:
        raise UserError(f"the file is damaged: {found.problem}", where=str(path), fix="run the suite again")
    try:
        for registry in REGISTRIES:
            for name, versions in found.content.get(registry.what, {}).items():
                before = registry.origins.get(name)
                for entry in versions if not registry.built_in(name) and (before is None or before.closed) else ():
                    origin = Origin(entry["reference"], entry["sha256"], closed=True)
                    registry.add(registry.restore(entry["facts"]), origin, str(path))
    except (KeyError, TypeError, ValueError, AttributeError, UserError) as error:
        raise UserError(
            f"the record of the user's code is not sound ({error})", where=str(path), fix="run the suite again"
        ) from error


def recall_suite(results: Path, name: str) -> None:
    """What `recall` does, for a suite's name that was not checked yet: one that cannot be a folder's has no results."""
    if len(name) <= LONGEST_NAME and Path(name).name == name:
        recall(results / name)
