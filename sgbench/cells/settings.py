"""The settings of a cell as columns of rows, derived from its fields: a new field is a new column. No torch."""

import json
from typing import Any, Final

from sgbench.cells.cell import Cell
from sgbench.cells.identity import plain_parameters
from sgbench.guidance.settings import OPTIONAL, Guidance
from sgbench.samplers.settings import Sampler

# Files are identified by their digests, which rows hold in columns of their own.
DIGITS: Final = 12
FILES: Final = ("autoencoder", "text_encoder")


def settings(cell: Cell) -> dict[str, Any]:
    """Every setting by its column; the fields of guidance and sampler take the place of these two.

    `parameters` is a JSON object, or empty where the rule has none.
    """
    found: dict[str, Any] = {}
    for field, value in cell._asdict().items():
        if isinstance(value, Guidance | Sampler):
            # The first field names the kind; its column is called as the cell calls it.
            (_, kind), *others = value._asdict().items()
            found |= {field: kind, **dict(others)}
        elif field not in FILES:
            found[field] = value
    found |= {name: str(value) for name, value in found.items() if isinstance(value, tuple) and name != "parameters"}
    found["own"] = "; ".join(f"{key} {sha256[:DIGITS]}" for key, sha256 in cell.own)
    found["channels"] = "own" if found["channels"] is None else str(found["channels"])
    parameters = plain_parameters(cell.guidance.parameters)
    # 1 and 1.0 are one value, and one text.
    same = {name: float(value) if isinstance(value, int) else value for name, value in parameters.items()}
    found["parameters"] = json.dumps(same) if same else ""
    return found


def parameters_text(text: object) -> str:
    """The parameters of a row for readers: `eta 0, norm_limit 2.5`."""
    found = json.loads(text) if isinstance(text, str) and text else {}
    return ", ".join(f"{name} {value if isinstance(value, str) else f'{value:g}'}" for name, value in found.items())


_PLAIN = settings(Cell("", Guidance("none"), Sampler("euler", 1), 0, "balanced", "float32"))
# Columns in the order of rows; and the neutral values of those that are reported only where they differ.
SETTINGS: Final = tuple(_PLAIN)
NEUTRAL: Final = {name: _PLAIN[name] for name in (*OPTIONAL, *Sampler._field_defaults)}
