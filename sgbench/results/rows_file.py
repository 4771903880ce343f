"""Reading rows.csv, or a table like it from anywhere: whole, of a version that is known, or refused. No torch.

Beside a table that `score` wrote stands its digest, in a file that `sha256sum --check` reads. For the moment in which
the table is replaced it holds two: of what comes, and of what is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sgbench.base.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def read_rows(path: Path) -> pd.DataFrame:
    """Rows of a csv or parquet file, brought to this version's schema. Raises UserError for anything else."""
    import pandas as pd

    from sgbench.results.schema import migrate

    if not path.is_file():
        raise UserError("there are no scored cells", where=str(path), fix="run `sgbench score SUITE` first")
    check_digest(path)
    try:
        rows = pd.read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    except ImportError as error:
        raise UserError(
            "reading Parquet needs pyarrow", where=str(path), fix="pip install 'sgbench[parquet]', or give rows.csv"
        ) from error
    # pandas tells a damaged table in many ways, all of them kinds of ValueError.
    except (OSError, ValueError) as error:
        raise UserError(
            f"this is no table of rows ({str(error).splitlines()[0] if str(error) else 'it is empty'})",
            where=str(path),
            fix="run `sgbench score` again, which writes the rows anew from the cells",
        ) from error
    try:
        return migrate(rows, str(path))
    except OverflowError as error:
        raise UserError(
            f"a number is too large to be one of ours ({error})",
            where=str(path),
            fix="run `sgbench score` again, which writes the rows anew from the cells",
        ) from error


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    columns = pd.read_csv(path, nrows=0).columns
    # Digests may look like numbers, and a lone replicate or percentile is one.
    ends = ("_protocol", "_sha256", "_replicates", "_percentiles")
    texts = [c for c in columns if c in ("cell", "commit", "failed") or c.endswith(ends)]
    return pd.read_csv(path, dtype=dict.fromkeys(texts, str))


def digest_path(path: Path) -> Path:
    """Where the digest of a table stands."""
    return path.with_name(f"{path.name}.sha256")


def digest_lines(path: Path, digests: Sequence[str]) -> bytes:
    """The content of that file."""
    return "".join(f"{digest}  {path.name}\n" for digest in digests).encode()


def read_digests(path: Path) -> list[str]:
    """The digests noted beside a table; none where nothing is, or nothing that can be read."""
    try:
        lines = digest_path(path).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return []
    return [line.partition(" ")[0] for line in lines]


def check_digest(path: Path) -> None:
    """Raise UserError for a table that is not as it was written. Tables without a digest are taken as they are."""
    if not digest_path(path).is_file():
        return
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return  # Whoever reads it next says why it cannot be read.
    if found not in read_digests(path):
        raise UserError(
            f"the table was changed or damaged since it was written: its sha256 is not the one in {path.name}.sha256",
            where=str(path),
            fix="run `sgbench score` again, which writes the rows anew from the cells",
        )
