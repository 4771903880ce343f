"""Files to start from: a rule, model, metric, sampler or extractor of one's own, its test, and a suite that uses it."""

from os.path import lexists
from pathlib import Path
from typing import Final

from sgbench.base.atomic import refusal, write_atomic
from sgbench.base.errors import UserError
from sgbench.base.registry import REGISTRIES
from sgbench.suite.schema import LONGEST_NAME

FOLDER: Final = Path(__file__).parents[1] / "templates"
OBJECTS: Final = {"rule": "RULE", "model": "Model", "metric": "METRIC", "sampler": "SAMPLER", "extractor": "EXTRACTOR"}


def write_templates(kind: str, name: str, folder: Path) -> list[Path]:
    """Write NAME.py, test_NAME.py and NAME.yaml into a folder, and say where.

    Raises UserError for a name that is no name of a file and a suite, and for a file that is there already.
    """
    if not name.isidentifier() or name != name.lower() or len(name) > LONGEST_NAME:
        raise UserError(f"{name!r} is not a valid name", where="NAME", fix="write small letters, digits and _")
    registry = next((one for one in REGISTRIES if one.what.endswith(kind)), None)
    if registry is not None and registry.built_in(name):
        fix = "give it another name"
        raise UserError(f"{name} is the name of a {registry.what} of sgbench", where="NAME", fix=fix)
    texts = {f"{name}.py": f"{kind}.py.txt", f"test_{name}.py": "test.py.txt", f"{name}.yaml": f"{kind}.yaml"}
    files = {folder / file: (FOLDER / template).read_text() for file, template in texts.items()}
    for file in files:
        if lexists(file):
            fix = "move it away, choose another name, or give another folder with --to"
            raise UserError("the file already exists", where=str(file), fix=fix)
    for file, text in files.items():
        try:
            write_atomic(file, text.replace("NAME", name).replace("OBJECT", OBJECTS[kind]).encode())
        except OSError as error:
            fix = "give another folder with --to, or fix its permissions"
            raise refusal(error, "the files cannot be written there", where=file, fix=fix) from error
    return list(files)
