"""The results tree, and the only code that writes under it. Knows nothing of torch.

    results/<suite>/
      suite.lock.yaml             the suite as resolved, with the ids of its cells
      rows.csv, rows.csv.sha256   one row per cell and number of images, derived from what follows; its digest
      protocols.json              what the numbers in the rows mean, by protocol id
      .claims                     locks of the processes at work, by run/claims.py; empty
      cells/<cell-id>/cell.json   what the cell is
                      cost.json   what it costs, as counted and as measured
                      scores.json scores by number of images
                      failure.json why a cell failed when it was last tried, until it is complete
                      gallery.png the first images side by side
                      nearest.png some of them beside their nearest training images, where that was asked for
                      shards/00000.npy, 00000.json   uint8 NHWC images; digest and timings beside them
                      features/<extractor>-<id>/00000.npz, 00000.json   outputs for a shard

A file is written under a temporary name, flushed and renamed, so it is whole or absent. There is no status
anywhere: a cell is complete when its shards are there and have the digests written beside them. Records carry a digest
of their own content (`checksummed_json.py`), pictures those of PNG. What does not agree with its digest is as good as
absent, and told of once.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from sgbench.base.atomic import refusal, remove_leftovers, write_atomic
from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id, located, named_cell
from sgbench.results.checksummed_json import seal, with_digest
from sgbench.results.rows_file import digest_lines, digest_path, read_digests, read_rows
from sgbench.results.verified_files import VerifiedFiles, sha256
from sgbench.suite.schema import Suite

# numpy and pandas are imported where they are used: `plan` reads the tree and must start at once.
if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

SHARD = 240
# The C library's emitter writes the same text ten times as fast.
Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


# What notes must hold for their payload to be used.
SHARD_NOTES: dict[str, type] = {"sha256": str, "images": int}
FEATURE_NOTES: dict[str, type] = {"sha256": str, "shard_sha256": str}


class Shard(NamedTuple):
    """A verified run of images from index `number` * SHARD on, and what was noted beside it."""

    images: NDArray[np.uint8]
    notes: dict[str, Any]


class Store(VerifiedFiles):
    """Reads and writes one suite's results below `root`; `notice` is told of damaged files as they are met."""

    def __init__(self, root: Path, suite: str, notice: Callable[[str], None] | None = None) -> None:
        super().__init__(root / suite, notice)

    def prepare(self) -> None:
        """Make sure that results can be written. Raises UserError where they cannot."""
        try:
            write_atomic(self.folder / ".writable", b"")
            # Another process may just have taken it away.
            (self.folder / ".writable").unlink(missing_ok=True)
        except OSError as error:
            fix = "choose another folder with --results, or mend its permissions"
            raise refusal(error, "results cannot be written there", where=self.folder, fix=fix) from error

    def write_mark(self, name: str) -> None:
        """Make or refresh an empty file beside the cells, by which another machine tells that it sees this folder."""
        (self.folder / name).touch()

    def cell_folder(self, cell: Cell) -> Path:
        """Where everything of one cell lives."""
        return self.folder / "cells" / cell_id(cell)

    # Suite and rows

    def write_lock(self, suite: Suite, cells: list[Cell]) -> None:
        """Keep the resolved suite and the ids of its cells."""
        lock = {"suite": suite.model_dump(mode="json"), "cells": {cell_id(c): c.describe() for c in cells}}
        text = yaml.dump(with_digest(lock), Dumper=Dumper, sort_keys=False)
        self._write(self.folder / "suite.lock.yaml", text.encode())

    def write_rows(self, rows: pd.DataFrame) -> Path:
        """Write rows.csv, and rows.parquet where pyarrow is installed."""
        path = self.folder / "rows.csv"
        self._write_noted(path, rows_csv(rows))
        try:
            buffer = io.BytesIO()
            rows.to_parquet(buffer, index=False)
        except ImportError:
            return path
        self._write_noted(path.with_suffix(".parquet"), buffer.getvalue())
        return path

    def _write_noted(self, path: Path, payload: bytes) -> None:
        """Write a file and its digest beside it; in between both the old and the new content agree with it."""
        noted, digest = digest_path(path), sha256(payload)
        self._write(noted, digest_lines(path, [digest, *read_digests(path)[:1]]))
        self._write(path, payload)
        self._write(noted, digest_lines(path, [digest]))

    def read_rows(self) -> pd.DataFrame:
        """The rows that `score` wrote. Raises UserError when there are none, or none that can be read."""
        return read_rows(self.folder / "rows.csv")

    def write_protocols(self, protocols: dict[str, dict[str, Any]]) -> None:
        """Keep the protocols that rows name by their ids."""
        self._write(self.folder / "protocols.json", seal(dict(sorted(protocols.items()))))

    def read_protocols(self) -> dict[str, dict[str, Any]]:
        """Protocols by id; empty where none were written, or they are damaged."""
        return self._read(self.folder / "protocols.json") or {}

    # Records of a cell

    def write_cell(self, cell: Cell) -> None:
        """Write cell.json."""
        self.write_record(cell, "cell", located(cell))

    def write_record(self, cell: Cell, name: str, content: dict[str, Any]) -> None:
        """Write `name`.json of a cell: cell, cost or scores."""
        self._write(self.cell_folder(cell) / f"{name}.json", seal(content))

    def read_record(self, cell: Cell, name: str) -> dict[str, Any] | None:
        """`name`.json of a cell, or None where it is absent or damaged."""
        return self._read(self.cell_folder(cell) / f"{name}.json")

    def refuse_record(self, cell: Cell, name: str, problem: str) -> None:
        """Tell of a record that is whole and still cannot be used."""
        self._tell(self.cell_folder(cell) / f"{name}.json", problem)

    def remove_record(self, cell: Cell, name: str) -> None:
        """Take `name`.json of a cell away, where it is there."""
        (self.cell_folder(cell) / f"{name}.json").unlink(missing_ok=True)

    def remove_leftovers(self, cell: Cell | None = None) -> None:
        """Remove what writers that were killed left of a cell, or beside the cells, under temporary names."""
        folder = self.folder if cell is None else self.cell_folder(cell)
        for place in [folder] if cell is None else [folder, folder / "shards", *folder.glob("features/*")]:
            remove_leftovers(place)

    def discard(self, *paths: Path) -> None:
        """Take files of this tree away, those that are there: what is damaged and can be made again."""
        for path in paths:
            if not path.is_symlink() and not path.parent.resolve().is_relative_to(self.folder.resolve()):
                raise ValueError(f"{path} is not below {self.folder}")
            path.unlink(missing_ok=True)

    def write_gallery(self, cell: Cell, png: bytes) -> None:
        """Keep the first images of a cell as one picture."""
        self._write(self.cell_folder(cell) / "gallery.png", png)

    def read_gallery(self, cell: Cell) -> bytes | None:
        """The picture of a cell's first images, or None where there is none."""
        return self._read_picture(self.cell_folder(cell) / "gallery.png")

    def write_nearest(self, cell: Cell, png: bytes) -> Path:
        """Keep a picture of some images of a cell beside their nearest training images."""
        path = self.cell_folder(cell) / "nearest.png"
        self._write(path, png)
        return path

    def read_nearest(self, cell: Cell) -> bytes | None:
        """The picture of nearest training images, or None where nobody asked for one."""
        return self._read_picture(self.cell_folder(cell) / "nearest.png")

    # Shards

    def write_shard(self, cell: Cell, number: int, images: NDArray[np.uint8], notes: dict[str, Any]) -> None:
        """Write images uint8 (n, H, W, C), n <= SHARD, then the notes with their digest."""
        path = self._shard_path(cell, number)
        payload = _npy(images)
        self._write(path, payload)
        self._write(path.with_suffix(".json"), seal({"sha256": sha256(payload), "images": len(images), **notes}))

    def read_shard(self, cell: Cell, number: int) -> Shard | None:
        """The shard if it is there and whole, else None: a damaged one is made again, never used."""
        import numpy as np

        path = self._shard_path(cell, number)
        notes = self._read_notes(path, SHARD_NOTES)
        payload = self._read_verified(path, notes)
        if payload is None or notes is None:
            return None
        images = np.load(io.BytesIO(payload), allow_pickle=False)
        if len(images) != notes["images"]:
            self._tell(path, "the notes beside it are of another number of images")
            return None
        return Shard(images, notes)

    def shard_sha256(self, cell: Cell, number: int) -> str | None:
        """The digest noted beside a shard; None where there is no shard."""
        notes = self._read_notes(self._shard_path(cell, number), SHARD_NOTES)
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
            notes = self._read_notes(folder / f"{number:05d}.npy", SHARD_NOTES)
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
            notes = self._read_notes(self._shard_path(cell, number), SHARD_NOTES)
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
        notes = {"sha256": sha256(buffer.getvalue()), "shard_sha256": shard_sha256}
        self._write(path.with_suffix(".json"), seal(notes))

    def read_features(
        self, cell: Cell, extractor: str, number: int, shard_sha256: str
    ) -> dict[str, NDArray[Any]] | None:
        """One extractor's output for a shard; None where it is absent, damaged or of other images."""
        import numpy as np

        path = self._features_path(cell, extractor, number)
        notes = self._read_notes(path, FEATURE_NOTES)
        payload = None if notes is None or notes["shard_sha256"] != shard_sha256 else self._read_verified(path, notes)
        if payload is None:
            return None
        with np.load(io.BytesIO(payload), allow_pickle=False) as stored:
            return dict(stored)

    def cell_names(self) -> set[str]:
        """The names of all cell folders, read in one go."""
        cells = self.folder / "cells"
        return {path.name for path in cells.iterdir()} if cells.is_dir() else set()

    def known_cells(self) -> list[Cell]:
        """Every cell of the tree that this version and these weights can still name, in the order of their ids."""
        found = []
        for path in sorted(self.folder.glob("cells/*/cell.json")):
            cell = named_cell(self._read(path), path.parent.name)
            if cell is not None:
                found.append(cell)
        return found

    def _shard_path(self, cell: Cell, number: int) -> Path:
        return self.cell_folder(cell) / "shards" / f"{number:05d}.npy"

    def _features_path(self, cell: Cell, extractor: str, number: int) -> Path:
        return self.cell_folder(cell) / "features" / extractor / f"{number:05d}.npz"


def shard_sizes(samples: int) -> list[tuple[int, int]]:
    """(number, images) of each shard that the first `samples` images fall into."""
    return [(start // SHARD, min(SHARD, samples - start)) for start in range(0, samples, SHARD)]


def _npy(array: NDArray[Any]) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def rows_csv(rows: pd.DataFrame) -> bytes:
    """Rows as they stand in rows.csv."""
    return rows.to_csv(index=False, lineterminator="\n").encode()
