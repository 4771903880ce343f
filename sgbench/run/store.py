"""The results tree, and the only code that writes under it. Knows nothing of torch.

    results/<suite>/
      suite.lock.yaml             the suite as resolved, with the ids of its cells
      rows.csv                    one row per cell and number of images, derived from what follows
      protocols.json              what the numbers in the rows mean, by protocol id
      cells/<cell-id>/cell.json   what the cell is
                      cost.json   what it costs, as counted and as measured
                      scores.json scores by number of images
                      gallery.png the first images side by side
                      nearest.png some of them beside their nearest training images, where that was asked for
                      shards/00000.npy, 00000.json   uint8 NHWC images; digest and timings beside them
                      features/<extractor>-<id>/00000.npz, 00000.json   outputs for a shard

A file is written under a temporary name, flushed and renamed, so it is whole or absent. There is no status
anywhere: a cell is complete when its shards are there and have the digests written beside them.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from sgbench.atomic import write_atomic
from sgbench.errors import UserError
from sgbench.run.rows_file import read_rows
from sgbench.suite.cell import Cell
from sgbench.suite.identity import cell_id, cell_of, located
from sgbench.suite.schema import Suite

# numpy and pandas are imported where they are used: `plan` reads the tree and must start at once.
if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

SHARD = 240


class Shard(NamedTuple):
    """A verified run of images from index `number` * SHARD on, and what was noted beside it."""

    images: NDArray[np.uint8]
    notes: dict[str, Any]


class Store:
    """Reads and writes one suite's results below `root`."""

    def __init__(self, root: Path, suite: str) -> None:
        self.folder = root / suite

    def prepare(self) -> None:
        """Make sure that results can be written. Raises UserError where they cannot."""
        try:
            write_atomic(self.folder / ".writable", b"")
            (self.folder / ".writable").unlink()
        except OSError as error:
            raise UserError(
                f"results cannot be written there ({error.strerror})",
                where=str(self.folder),
                fix="choose another folder with --results, or mend its permissions",
            ) from error

    def cell_folder(self, cell: Cell) -> Path:
        """Where everything of one cell lives."""
        return self.folder / "cells" / cell_id(cell)

    # Suite and rows

    def write_lock(self, suite: Suite, cells: list[Cell]) -> None:
        """Keep the resolved suite and the ids of its cells."""
        lock = {"suite": suite.model_dump(mode="json"), "cells": {cell_id(c): c.describe() for c in cells}}
        self._write(self.folder / "suite.lock.yaml", yaml.safe_dump(lock, sort_keys=False).encode())

    def write_rows(self, rows: pd.DataFrame) -> Path:
        """Write rows.csv, and rows.parquet where pyarrow is installed."""
        path = self.folder / "rows.csv"
        self._write(path, rows.to_csv(index=False, lineterminator="\n").encode())
        try:
            buffer = io.BytesIO()
            rows.to_parquet(buffer, index=False)
        except ImportError:
            return path
        self._write(path.with_suffix(".parquet"), buffer.getvalue())
        return path

    def read_rows(self) -> pd.DataFrame:
        """The rows that `score` wrote. Raises UserError when there are none, or none that can be read."""
        return read_rows(self.folder / "rows.csv")

    def write_protocols(self, protocols: dict[str, dict[str, Any]]) -> None:
        """Keep the protocols that rows name by their ids."""
        self._write(self.folder / "protocols.json", _json(dict(sorted(protocols.items()))))

    def read_protocols(self) -> dict[str, dict[str, Any]]:
        """Protocols by id; empty where none were written."""
        return _read_json(self.folder / "protocols.json") or {}

    # Records of a cell

    def write_cell(self, cell: Cell) -> None:
        """Write cell.json."""
        self.write_record(cell, "cell", located(cell))

    def write_record(self, cell: Cell, name: str, content: dict[str, Any]) -> None:
        """Write `name`.json of a cell: cell, cost or scores."""
        self._write(self.cell_folder(cell) / f"{name}.json", _json(content))

    def read_record(self, cell: Cell, name: str) -> dict[str, Any] | None:
        """`name`.json of a cell, or None where it is absent or not JSON."""
        return _read_json(self.cell_folder(cell) / f"{name}.json")

    def write_gallery(self, cell: Cell, png: bytes) -> None:
        """Keep the first images of a cell as one picture."""
        self._write(self.cell_folder(cell) / "gallery.png", png)

    def read_gallery(self, cell: Cell) -> bytes | None:
        """The picture of a cell's first images, or None where there is none."""
        path = self.cell_folder(cell) / "gallery.png"
        return path.read_bytes() if path.is_file() else None

    def write_nearest(self, cell: Cell, png: bytes) -> Path:
        """Keep a picture of some images of a cell beside their nearest training images."""
        path = self.cell_folder(cell) / "nearest.png"
        self._write(path, png)
        return path

    def read_nearest(self, cell: Cell) -> bytes | None:
        """The picture of nearest training images, or None where nobody asked for one."""
        path = self.cell_folder(cell) / "nearest.png"
        return path.read_bytes() if path.is_file() else None

    # Shards

    def write_shard(self, cell: Cell, number: int, images: NDArray[np.uint8], notes: dict[str, Any]) -> None:
        """Write images uint8 (n, H, W, C), n <= SHARD, then the notes with their digest."""
        path = self._shard_path(cell, number)
        payload = _npy(images)
        self._write(path, payload)
        self._write(path.with_suffix(".json"), _json({"sha256": _sha256(payload), "images": len(images), **notes}))

    def read_shard(self, cell: Cell, number: int) -> Shard | None:
        """The shard if it is there and whole, else None: a damaged one is made again, never used."""
        import numpy as np

        path = self._shard_path(cell, number)
        notes = _read_json(path.with_suffix(".json"))
        payload = _read_verified(path, notes)
        if payload is None or notes is None:
            return None
        return Shard(np.load(io.BytesIO(payload), allow_pickle=False), notes)

    def shard_sha256(self, cell: Cell, number: int) -> str | None:
        """The digest noted beside a shard; None where there is no shard."""
        notes = _read_json(self._shard_path(cell, number).with_suffix(".json"))
        return None if notes is None else str(notes["sha256"])

    def read_images(self, cell: Cell, samples: int) -> NDArray[np.uint8] | None:
        """The first `samples` images (samples, H, W, C), or None unless all are there."""
        import numpy as np

        parts = []
        for number, count in shard_sizes(samples):
            shard = self.read_shard(cell, number)
            if shard is None or len(shard.images) < count:
                return None
            parts.append(shard.images[:count])
        return np.concatenate(parts)

    def noted_images(self, cell: Cell, samples: int) -> int:
        """How many of the first `samples` images are noted as there, without reading them."""
        folder = self.cell_folder(cell) / "shards"
        if not folder.is_dir():
            return 0
        found = 0
        for number, count in shard_sizes(samples):
            notes = _read_json(folder / f"{number:05d}.json")
            found += min(count, notes["images"]) if notes else 0
        return found

    def images_there(self, cell: Cell, limit: int | None = None) -> int:
        """How many images of a cell are noted as there, from the first on without a gap; at most `limit`.

        Raises UserError where there are none.
        """
        there = self._run_of_images(cell)
        if not there:
            raise UserError("the cell has no images here", where=str(self.cell_folder(cell)), fix="run its suite first")
        return min(limit or there, there)

    def _run_of_images(self, cell: Cell) -> int:
        found = 0
        for number in itertools.count():
            notes = _read_json(self.cell_folder(cell) / "shards" / f"{number:05d}.json")
            found += notes["images"] if notes else 0
            if not notes or notes["images"] < SHARD:
                return found
        raise AssertionError

    # Features

    def write_features(
        self, cell: Cell, extractor: str, number: int, arrays: dict[str, NDArray[Any]], shard_sha256: str
    ) -> None:
        """Write one extractor's output for the images of a shard, all of them."""
        import numpy as np

        path = self._features_path(cell, extractor, number)
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        self._write(path, buffer.getvalue())
        notes = {"sha256": _sha256(buffer.getvalue()), "shard_sha256": shard_sha256}
        self._write(path.with_suffix(".json"), _json(notes))

    def read_features(
        self, cell: Cell, extractor: str, number: int, shard_sha256: str
    ) -> dict[str, NDArray[Any]] | None:
        """One extractor's output for a shard; None where it is absent, damaged or of other images."""
        import numpy as np

        path = self._features_path(cell, extractor, number)
        notes = _read_json(path.with_suffix(".json"))
        payload = _read_verified(path, notes)
        if payload is None or notes is None or notes.get("shard_sha256") != shard_sha256:
            return None
        with np.load(io.BytesIO(payload), allow_pickle=False) as stored:
            return dict(stored)

    def known_cells(self) -> list[Cell]:
        """Every cell of the tree that this version and these weights can still name, in the order of their ids."""
        found = []
        for path in sorted(self.folder.glob("cells/*/cell.json")):
            record = _read_json(path)
            try:
                cell = cell_of(record) if record else None
            except (KeyError, TypeError, UserError):
                continue
            if cell is not None and cell_id(cell) == path.parent.name:
                found.append(cell)
        return found

    def _write(self, path: Path, payload: bytes) -> None:
        """Write a file whole. Raises UserError where the file system refuses; nothing that was there is lost."""
        try:
            write_atomic(path, payload)
        except OSError as error:
            raise UserError(
                f"{len(payload)} bytes could not be written ({error.strerror})",
                where=str(path),
                fix="make room or mend the permissions, then repeat the command: all that was finished is kept",
            ) from error

    def _shard_path(self, cell: Cell, number: int) -> Path:
        return self.cell_folder(cell) / "shards" / f"{number:05d}.npy"

    def _features_path(self, cell: Cell, extractor: str, number: int) -> Path:
        return self.cell_folder(cell) / "features" / extractor / f"{number:05d}.npz"


def open_cell(folder: Path) -> tuple[Cell, Store]:
    """The cell in `folder`, and the results tree it stands in. Raises UserError for anything else."""
    record = _read_json(folder / "cell.json")
    suite = folder.resolve().parent.parent
    try:
        cell = cell_of(record) if record else None
    except (KeyError, TypeError, UserError):
        cell = None
    if cell is None or cell_id(cell) != folder.resolve().name:
        raise UserError(
            "this is no cell that this version and these weights can name",
            where=str(folder),
            fix="give a folder of results/<suite>/cells",
        )
    return cell, Store(suite.parent, suite.name)


def find_cell(name: str, results: Path) -> tuple[Cell, Store]:
    """A cell by its folder, or by its id in any suite below `results`. Raises UserError when there is none."""
    if (Path(name) / "cell.json").is_file():
        return open_cell(Path(name))
    found = sorted(results.glob(f"*/cells/{name}/cell.json")) if name.isalnum() else []
    if not found:
        raise UserError(
            f"there is no cell {name!r}",
            where=str(results),
            fix="give an id as `sgbench plan` prints it, or its folder",
        )
    # Suites may share a cell; the one that has images serves.
    return open_cell(max(found, key=lambda card: (card.parent / "shards").is_dir()).parent)


def shard_sizes(samples: int) -> list[tuple[int, int]]:
    """(number, images) of each shard that the first `samples` images fall into."""
    return [(start // SHARD, min(SHARD, samples - start)) for start in range(0, samples, SHARD)]


def _read_verified(path: Path, notes: dict[str, Any] | None) -> bytes | None:
    if notes is None or not path.is_file():
        return None
    payload = path.read_bytes()
    return payload if _sha256(payload) == notes.get("sha256") else None


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _npy(array: NDArray[Any]) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()


def _sha256(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()
