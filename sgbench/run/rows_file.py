"""Reading rows.csv, or a table like it from anywhere: whole, of a version that is known, or refused. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sgbench.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def read_rows(path: Path) -> pd.DataFrame:
    """Rows of a csv or parquet file, brought to this version's schema. Raises UserError for anything else."""
    import pandas as pd

    from sgbench.run.schema import migrate  # needs pandas, too

    if not path.is_file():
        raise UserError("there are no scored cells", where=str(path), fix="run `sgbench score SUITE` first")
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
    return migrate(rows, str(path))


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    columns = pd.read_csv(path, nrows=0).columns
    # Digests may look like numbers, and a lone replicate or percentile is one.
    ends = ("_protocol", "_sha256", "_replicates", "_percentiles")
    texts = [c for c in columns if c in ("cell", "commit") or c.endswith(ends)]
    return pd.read_csv(path, dtype=dict.fromkeys(texts, str))
