"""Images and archives that were made to fill memory, to hang, or to run something: one sentence each."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sgbench.base.errors import UserError
from sgbench.images.files import MOST_PIXELS, files_below, read_array, read_image
from sgbench.images.sets import FolderImages, NpzImages, open_images

HUGE = 10**12


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, pixels: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(pixels))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def npy(shape: tuple[int, ...], kind: str = "|u1", version: bytes = b"\x01\x00", length: int | None = None) -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    packed = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text) if length is None else length)
    return b"\x93NUMPY" + version + packed + text


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as stream:
        for name, content in members.items():
            stream.writestr(f"{name}.npy", content)
    return path


@pytest.mark.parametrize("side", [2**31 - 1, 100_000, 8_200])
def test_pictures_of_huge_claims(side: int, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(side, side))
    assert side**2 > MOST_PIXELS
    with pytest.raises(UserError, match=r"a.png: the image is damaged \("):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM"])
def test_other_formats_under_an_ending_of_ours(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("L", (8, 8)).save(path, kind)
    with pytest.raises(UserError, match="the image is damaged"):
        read_image(path)


def test_a_program_in_postscript_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(touched) (w) file closefile\n%%EOF\n")
    with pytest.raises(UserError, match="the image is damaged"):
        read_image(path)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_moving_pictures(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind}"
    frames = [Image.new("RGB", (8, 8), (value, 0, 0)) for value in (0, 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    with pytest.raises(UserError, match="it holds several images"):
        read_image(path)


def test_pipes_devices_and_links_among_images(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "b.png")
    with pytest.raises(UserError, match=r"b.png: this is not a regular file"):
        list(FolderImages(tmp_path).parts())
    (tmp_path / "b.png").unlink()
    (tmp_path / "b.png").symlink_to("/dev/zero")
    with pytest.raises(UserError, match=r"b.png: this is not a regular file"):
        list(FolderImages(tmp_path).parts())
    (tmp_path / "b.png").unlink()
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [path.name for path in files_below(tmp_path)] == ["a.png"]
    with pytest.raises(UserError, match="no such folder or npz"):
        open_images(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"arr_0": npy((HUGE, 8, 8, 3))}, "it ends after 0 of"),
        ({"arr_0": npy((2, HUGE, HUGE, 3))}, "pixels, and 67,108,864 are the most"),
        ({"arr_0": npy((HUGE, 1, 1, 3)), "arr_1": npy((HUGE,), "<i8")}, "its array arr_1 claims"),
        ({"arr_0": npy((2, 8, 8, 3), version=b"\x02\x00", length=2**32 - 1)}, "npy header is not of version 1.0"),
        ({"arr_0": npy((2, 8, 8, 3), length=60_000)}, "damaged"),
        ({"arr_0": npy((-1, 8, 8, 3))}, "damaged|layout"),
        ({"arr_0": npy((True, 8, 8, 3))}, "damaged|layout|ends after"),
        ({"arr_0": npy((2, 8, 8, 3), "|O")}, "arr_0 is object"),
        ({"arr_0": b"\x93NUMPY\x01\x00\xff\xff" + b"[" * 65_535}, "damaged"),
        ({"../arr_0": npy((2, 8, 8, 3))}, "there is no array arr_0"),
    ],
)
def test_archives_of_huge_claims(members: dict[str, bytes], message: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", **members)
    with pytest.raises(UserError, match=message):
        list(NpzImages(path).parts())
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.slow
def test_a_bomb_of_zeros_comes_in_parts(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", arr_0=npy((600, 512, 512, 3)) + bytes(600 * 512 * 512 * 3))
    assert path.stat().st_size < 1_000_000
    largest = max(part.nbytes for part in NpzImages(path).parts())
    assert largest <= 1 << 28


def test_an_array_in_pickles_is_not_read(tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {tmp_path / 'touched'}",)

    content = io.BytesIO()
    np.save(content, np.array([Touch()], dtype=object), allow_pickle=True)
    path = archive(tmp_path / "a.npz", arr_1=content.getvalue())
    with pytest.raises(UserError, match="damaged"):
        read_array(path, "arr_1")
    assert not (tmp_path / "touched").exists()
