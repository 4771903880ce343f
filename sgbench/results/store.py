"""The results tree, and the only code that writes under it. No torch.

    results/<suite>/
      suite.lock.yaml             the suite as resolved, with the ids of its cells
      rows.csv, rows.csv.sha256   one row per cell and number of images, derived from what follows; its digest
      protocols.json              what the numbers in the rows mean, by protocol id
      own_code.json               facts of rules, samplers and metrics that users brought, if any
      .claims                     locks of the processes at work (`claims.py`); empty
      cells/<cell-id>/cell.json   what the cell is
                      cost.json   what it costs, as counted and as measured
                      scores.json scores by number of images
                      failure.json why a cell failed when it was last tried, until it is complete
                      gallery.png the first images side by side
                      nearest.png some of them beside their nearest training images, where that was asked for
                      shards/00000.npy, 00000.json   uint8 NHWC images; digest and timings beside them
                      features/<extractor>-<id>/00000.npz, 00000.json   outputs for a shard

A file is written under a temporary name, flushed and renamed, so it is whole or absent. No status is kept: a cell is
complete when its shards are there and match the digests in their notes. What does not match its digest
(`verified_files.py`) is treated as absent, and reported once.
"""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from sgbench.base.atomic import free_bytes, refusal, remove_leftovers, write_atomic
from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id, named_cell, record_with_paths
from sgbench.models import catalogue
from sgbench.models.components import NONE
from sgbench.results.own_code import FILE as OWN_CODE
from sgbench.results.own_code import own_code_bytes, recall
from sgbench.results.verified_files import (
    SHARD_NOTES,
    Shard,
    VerifiedFiles,
    read_features,
    read_notes,
    read_picture,
    read_shard,
    record_bytes,
    with_digest,
)
from sgbench.suite.schema import Suite

# numpy and pandas are imported where they are used: `plan` reads the tree and must start at once.
if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

Picture = Literal["gallery", "nearest"]
SHARD = 240
# The C library's emitter writes the same text ten times as fast.
Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class Store(VerifiedFiles):
    """Reads and writes one suite's results below `root`; `notice` receives a line for each damaged file met."""

    def __init__(self, root: Path, suite: str, notice: Callable[[str], None] | None = None) -> None:
        super().__init__(root / suite, notice)

    def prepare(self) -> None:
        """Make sure that results can be written. Raises UserError where they cannot."""
        try:
            write_atomic(self.folder / ".writable", b"")
            # Another process may just have taken it away.
            (self.folder / ".writable").unlink(missing_ok=True)
        except OSError as error:
            fix = "choose another folder with --results, or fix its permissions"
            raise refusal(error, "results cannot be written there", where=self.folder, fix=fix) from error

    def require_space(self, missing: Iterable[tuple[Cell, int]]) -> None:
        """Raise UserError where the file system has less space than the missing images of the cells take.

        Quotas are not known here; they are reported when a write meets them.
        """
        needed = sum(image_bytes(cell) * images for cell, images in missing if images)
        free = free_bytes(self.folder)
        if free is not None and needed > free:
            what = f"the missing images take {needed:,} bytes, and {free:,} are free"
            fix = "free disk space, choose another folder with --results, or generate fewer images with --limit"
            raise UserError(what, where=str(self.folder), fix=fix)

    def write_mark(self, name: str) -> None:
        """Create or refresh an empty file in the suite's folder, by which machines check that they share it."""
        (self.folder / name).touch()

    def cell_folder(self, cell: Cell) -> Path:
        """Where everything of one cell lives."""
        return self.folder / "cells" / cell_id(cell)

    # Suite and rows

    def write_lock(self, suite: Suite, cells: list[Cell]) -> None:
        """Keep the resolved suite and the ids of its cells."""
        lock: dict[str, Any] = {
            "suite": suite.model_dump(mode="json"),
            "cells": {cell_id(c): c.describe() for c in cells},
        }
        if suite.own:
            lock["own"] = [{"what": o.what, "name": o.name, "code": o.reference, "sha256": o.sha256} for o in suite.own]
            self.keep_own_code(suite)
        text = yaml.dump(with_digest(lock), Dumper=Dumper, sort_keys=False)
        self._write(self.folder / "suite.lock.yaml", text.encode())

    def keep_own_code(self, suite: Suite) -> None:
        """Keep the facts of the user's own that a suite takes, for those who read results and run no code."""
        made = own_code_bytes(self.folder, suite.own)
        if made is not None:
            self._write(self.folder / OWN_CODE, made)

    def write_rows(self, rows: pd.DataFrame) -> Path:
        """Write rows.csv, and rows.parquet where pyarrow is installed."""
        path = self.folder / "rows.csv"
        self._write_table(path, rows_csv(rows))
        with contextlib.suppress(ImportError):
            self._write_table(path.with_suffix(".parquet"), rows.to_parquet(index=False))
        return path

    def read_rows(self) -> pd.DataFrame:
        """The rows that `score` wrote. Raises UserError when there are none, or none that can be read."""
        from sgbench.results.rows import read_rows

        return read_rows(self.folder / "rows.csv")

    def write_protocols(self, protocols: dict[str, dict[str, Any]]) -> None:
        """Keep the protocols that rows name by their ids."""
        self._write(self.folder / "protocols.json", record_bytes(dict(sorted(protocols.items()))))

    def read_protocols(self) -> dict[str, dict[str, Any]]:
        """Protocols by id; empty where none were written, or they are damaged."""
        return self._read(self.folder / "protocols.json") or {}

    def scored_protocols(self, cells: Iterable[Cell]) -> dict[str, dict[str, Any]]:
        """The protocols that scores of cells hold, by id."""
        found = {}
        for cell in cells:
            for scores in (self.read_record(cell, "scores") or {}).values():
                for entry in scores.values() if isinstance(scores, dict) else ():
                    if isinstance(entry, dict) and "protocol" in entry:
                        found[str(entry["protocol_id"])] = entry["protocol"]
        return found

    # Records and pictures of a cell

    def write_cell(self, cell: Cell) -> None:
        """Write cell.json."""
        self.write_record(cell, "cell", record_with_paths(cell))

    def write_record(self, cell: Cell, name: str, content: dict[str, Any]) -> None:
        """Write `name`.json of a cell: cell, cost or scores."""
        self._write(self.cell_folder(cell) / f"{name}.json", record_bytes(content))

    def read_record(self, cell: Cell, name: str) -> dict[str, Any] | None:
        """`name`.json of a cell, or None where it is absent or damaged."""
        return self._read(self.cell_folder(cell) / f"{name}.json")

    def refuse_record(self, cell: Cell, name: str, problem: str) -> None:
        """Report a record that is sound and still cannot be used."""
        self._report(self.cell_folder(cell) / f"{name}.json", problem)

    def remove_record(self, cell: Cell, name: str) -> None:
        """Remove `name`.json of a cell, if it is there."""
        (self.cell_folder(cell) / f"{name}.json").unlink(missing_ok=True)

    def remove_leftovers(self, cell: Cell | None = None) -> None:
        """Remove the temporary files of killed writers from a cell's folders, or from the suite's own."""
        folder = self.folder if cell is None else self.cell_folder(cell)
        for place in [folder] if cell is None else [folder, folder / "shards", *folder.glob("features/*")]:
            remove_leftovers(place)

    def discard(self, *paths: Path) -> None:
        """Remove files of this tree, if they are there: what is damaged and can be made again."""
        for path in paths:
            if not path.is_symlink() and not path.parent.resolve().is_relative_to(self.folder.resolve()):
                raise ValueError(f"{path} is not below {self.folder}")
            path.unlink(missing_ok=True)

    def write_picture(self, cell: Cell, name: Picture, png: bytes) -> Path:
        """Write `name`.png of a cell: its first images, or some of them and their nearest training images."""
        path = self.cell_folder(cell) / f"{name}.png"
        self._write(path, png)
        return path

    def read_picture(self, cell: Cell, name: Picture) -> bytes | None:
        """`name`.png of a cell, or None where it is absent or damaged."""
        path = self.cell_folder(cell) / f"{name}.png"
        return self._sound(path, read_picture(path))

    # Shards

    def write_shard(self, cell: Cell, number: int, images: NDArray[np.uint8], notes: dict[str, Any]) -> None:
        """Write images uint8 (n, H, W, C), n <= SHARD, then the notes with their digest."""
        import numpy as np

        buffer = io.BytesIO()
        np.save(buffer, images, allow_pickle=False)
        self._write_payload(self._shard_path(cell, number), buffer.getvalue(), {"images": len(images), **notes})

    def read_shard(self, cell: Cell, number: int) -> Shard | None:
        """The shard if it is there and whole, else None: a damaged one is made again, never used."""
        path = self._shard_path(cell, number)
        return self._sound(path, read_shard(path))

    def shard_sha256(self, cell: Cell, number: int) -> str | None:
        """The digest in a shard's notes; None where there is no shard."""
        notes = self._shard_notes(cell, number)
        return None if notes is None else str(notes["sha256"])

    def noted_images(self, cell: Cell, samples: int) -> int:
        """How many of the first `samples` images are there according to the notes on shards; no image is read."""
        if not (self.cell_folder(cell) / "shards").is_dir():
            return 0
        notes = [(count, self._shard_notes(cell, number)) for number, count in shard_sizes(samples)]
        return sum(min(count, found["images"]) for count, found in notes if found)

    def images_there(self, cell: Cell, limit: int | None = None) -> int:
        """How many images the notes count up to the first gap, at most `limit`. Raises UserError where it is none."""
        there = 0
        for number in itertools.count():
            notes = self._shard_notes(cell, number)
            there += notes["images"] if notes else 0
            if not notes or notes["images"] < SHARD:
                break
        if not there:
            raise UserError("the cell has no images here", where=str(self.cell_folder(cell)), fix="run its suite first")
        return min(limit or there, there)

    def _shard_notes(self, cell: Cell, number: int) -> dict[str, Any] | None:
        path = self._shard_path(cell, number)
        return self._sound(path, read_notes(path, SHARD_NOTES))

    # Features

    def write_features(
        self, cell: Cell, extractor: str, number: int, arrays: dict[str, NDArray[Any]], shard_sha256: str
    ) -> None:
        """Write one extractor's output for the images of a shard, all of them."""
        import numpy as np

        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        path = self._features_path(cell, extractor, number)
        self._write_payload(path, buffer.getvalue(), {"shard_sha256": shard_sha256})

    def read_features(
        self, cell: Cell, extractor: str, number: int, shard_sha256: str
    ) -> dict[str, NDArray[Any]] | None:
        """One extractor's output for a shard; None where it is absent, damaged or of other images."""
        path = self._features_path(cell, extractor, number)
        found = self._sound(path, read_features(path))
        return None if found is None or found.shard_sha256 != shard_sha256 else found.arrays

    # All cells

    def cell_names(self) -> set[str]:
        """The names of all cell folders, read in one go."""
        cells = self.folder / "cells"
        return {path.name for path in cells.iterdir()} if cells.is_dir() else set()

    def known_cells(self) -> list[Cell]:
        """Every cell of the tree that this version and these weights can still name, in the order of their ids."""
        recall(self.folder)
        paths = sorted(self.folder.glob("cells/*/cell.json"))
        cells = [named_cell(self._read(path), path.parent.name) for path in paths]
        return [cell for cell in cells if cell is not None]

    def _shard_path(self, cell: Cell, number: int) -> Path:
        return self.cell_folder(cell) / "shards" / f"{number:05d}.npy"

    def _features_path(self, cell: Cell, extractor: str, number: int) -> Path:
        return self.cell_folder(cell) / "features" / extractor / f"{number:05d}.npz"


def image_bytes(cell: Cell) -> int:
    """Bytes of one image on disk."""
    model = catalogue.entry(cell.model)
    if cell.autoencoder == NONE:
        # In place of a decoded image: three channels of the latent's size.
        return 3 * model.architecture.input_size**2
    return model.image_channels * model.image_side**2


def shard_sizes(samples: int) -> list[tuple[int, int]]:
    """(number, images) of each shard that the first `samples` images fall into."""
    return [(start // SHARD, min(SHARD, samples - start)) for start in range(0, samples, SHARD)]


def rows_csv(rows: pd.DataFrame) -> bytes:
    """The content of rows.csv."""
    return rows.to_csv(index=False, lineterminator="\n").encode()
