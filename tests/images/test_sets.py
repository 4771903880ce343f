"""Reading anybody's images: what is refused, and in which words."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sgbench.base.errors import UserError
from sgbench.images.files import read_image
from sgbench.images.sets import PART, FolderImages, NpzImages, look, open_images

Folder = Callable[..., Path]


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        look(open_images(path))
    message = str(caught.value)
    assert "\n" not in message
    return message


def write_npz(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, allow_pickle=True, **arrays)
    return path


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_folder_is_read_in_natural_order(image_folder: Folder, suffix: str) -> None:
    found = FolderImages(image_folder("set", 12, suffix=suffix))
    assert [p.stem for p in found.paths] == [str(i) for i in range(12)]
    assert next(found.parts()).shape == (12, 32, 32, 3)
    assert found.quantisation == ("uint8, lossless" if suffix == ".png" else f"uint8, read from {suffix[1:]}")


def test_the_same_pixels_have_the_same_digest_whatever_holds_them(image_folder: Folder, tmp_path: Path) -> None:
    folder = FolderImages(image_folder("set", 30))
    pixels = np.concatenate(list(folder.parts()))
    archive = NpzImages(write_npz(tmp_path / "set.npz", arr_0=pixels, arr_1=np.arange(30)))
    assert look(folder) == look(archive)
    assert archive.labels is not None
    assert archive.labels.tolist() == list(range(30))


def test_large_sets_come_in_parts(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (PART + 5, 4, 4, 3), dtype=np.uint8)
    found = NpzImages(write_npz(tmp_path / "set.npz", arr_0=pixels))
    assert [len(part) for part in found.parts()] == [PART, 5]


def test_a_truncated_image_is_named(image_folder: Folder) -> None:
    folder = image_folder("set")
    path = folder / "7.png"
    path.write_bytes(path.read_bytes()[:300])
    assert refused(folder).startswith(f"{path}: the image is damaged (")


def test_a_file_that_is_no_image_is_named(image_folder: Folder) -> None:
    path = image_folder("set") / "3.jpg"
    path.write_text("<html>")
    assert "3.jpg: the image is damaged (cannot identify image file" in refused(path.parent)


def test_mixed_sizes_name_both_files(image_folder: Folder) -> None:
    folder = image_folder("set")
    Image.new("RGB", (40, 32)).save(folder / "9.png")
    assert refused(folder) == (
        f"{folder / '9.png'}: the image is 40 x 32 RGB, and 0.png is 32 x 32 RGB; "
        "score images of one size and one kind of colour."
    )


def test_grey_among_colour_is_named(image_folder: Folder) -> None:
    folder = image_folder("set")
    Image.new("L", (32, 32)).save(folder / "9.png")
    assert "9.png: the image is 32 x 32 grey, and 0.png is 32 x 32 RGB" in refused(folder)


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("RGBA", "an alpha channel"),
        ("LA", "an alpha channel"),
        ("P", "colours of kind P"),
        ("I;16", "colours of kind I;16 with 16 bits"),
        ("1", "colours of kind 1"),
    ],
)
def test_other_kinds_of_colour_are_refused(tmp_path: Path, mode: str, said: str) -> None:
    path = tmp_path / "odd.png"
    Image.new(mode, (8, 8)).save(path)
    with pytest.raises(
        UserError, match=rf"odd.png: the image has {said}, and only 8-bit grey and RGB are scored; convert it"
    ):
        read_image(path)


def test_an_image_that_would_fill_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    Image.new("L", (100, 100)).save(tmp_path / "bomb.png")
    with pytest.raises(UserError, match=r"bomb.png: the image is damaged \(Image size"):
        read_image(tmp_path / "bomb.png")


def test_sixteen_bits_and_transparent_colours_are_not_lost_in_silence(tmp_path: Path) -> None:
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    header = (4).to_bytes(4, "big") * 2 + bytes([16, 2, 0, 0, 0])
    rows = zlib.compress((b"\0" + bytes(24)) * 4)
    path = tmp_path / "deep.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    with pytest.raises(UserError, match=r"deep.png: the image has colours of kind RGB with 16 bits"):
        read_image(path)
    Image.new("RGB", (8, 8)).save(tmp_path / "clear.png", transparency=(0, 0, 0))
    with pytest.raises(UserError, match=r"clear.png: the image has an alpha channel"):
        read_image(tmp_path / "clear.png")


def test_no_picture_is_left_out_in_silence(image_folder: Folder) -> None:
    folder = image_folder("set", 30)
    (folder / ".ipynb_checkpoints").mkdir()
    Image.new("RGB", (32, 32)).save(folder / ".ipynb_checkpoints" / "0-checkpoint.png")
    (folder / "classes").symlink_to(image_folder("more", 12, seed=1))
    (folder / "again").symlink_to(folder)
    assert FolderImages(folder).count == 42
    Image.new("RGB", (32, 32)).save(folder / "30.bmp")
    assert refused(folder).startswith(
        f"{folder / '30.bmp'}: the folder also holds .bmp files, which are not read (1 of"
    )


def test_jpeg_by_either_name_is_one_protocol(image_folder: Folder) -> None:
    folder = image_folder("set", 6, suffix=".jpg")
    (folder / "0.jpg").rename(folder / "0.jpeg")
    assert FolderImages(folder).quantisation == "uint8, read from jpg"


def test_the_policy_of_labels_is_seen(tmp_path: Path) -> None:
    pixels = np.zeros((30, 8, 8, 3), np.uint8)
    for name, labels in (("balanced", np.arange(30) % 4), ("random", np.arange(30) // 7)):
        path = write_npz(tmp_path / f"{name}.npz", arr_0=pixels, arr_1=labels)
        assert NpzImages(path).label_policy == name


def test_empty_places(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path / "empty").startswith(f"{tmp_path / 'empty'}: there are no images in the folder; put")
    assert "there is no such folder or npz of images" in refused(tmp_path / "nowhere")
    assert "there is no such folder or npz of images" in refused(tmp_path / "nowhere.npz")
    none = write_npz(tmp_path / "none.npz", arr_0=np.zeros((0, 8, 8, 3), np.uint8))
    assert "there are no images, and scores need a set" in refused(none)
    one = write_npz(tmp_path / "one.npz", arr_0=np.zeros((1, 8, 8, 3), np.uint8))
    assert "there is one image, and scores need a set" in refused(one)


@pytest.mark.parametrize("value", [0, 255])
def test_a_set_in_which_nothing_was_drawn(tmp_path: Path, value: int) -> None:
    path = write_npz(tmp_path / "black.npz", arr_0=np.full((30, 8, 8, 3), value, np.uint8))
    assert refused(path) == (
        f"{path}: every pixel of all 30 images is {value}: the images are blank; "
        "look at the images before scoring them."
    )


def test_values_in_float_are_refused_with_nan_in_mind(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "float.npz", arr_0=np.full((30, 8, 8, 3), np.nan, np.float32))
    assert "arr_0 is float32 of shape (30, 8, 8, 3), and ADM's layout is uint8" in refused(path)


def test_other_layouts_of_npz(tmp_path: Path) -> None:
    pixels = np.zeros((30, 8, 8, 3), np.uint8)
    assert "there is no array arr_0" in refused(write_npz(tmp_path / "a.npz", images=pixels))
    assert "arr_0 is uint8 of shape (30, 3, 8, 8)" in refused(
        write_npz(tmp_path / "b.npz", arr_0=np.moveaxis(pixels, 3, 1))
    )
    assert "arr_1 is int64 of shape (7,), and there are 30 images" in refused(
        write_npz(tmp_path / "c.npz", arr_0=pixels, arr_1=np.arange(7))
    )


def test_a_damaged_npz(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    path = write_npz(tmp_path / "cut.npz", arr_0=pixels)
    path.write_bytes(path.read_bytes()[:2000])
    assert refused(path).startswith(f"{path}: the npz is damaged (")
    np.savez_compressed(tmp_path / "packed.npz", arr_0=pixels)
    content = bytearray((tmp_path / "packed.npz").read_bytes())
    content[60:90] = bytes(30)
    (tmp_path / "packed.npz").write_bytes(content)
    assert "packed.npz: the npz is damaged (" in refused(tmp_path / "packed.npz")
    flat = write_npz(tmp_path / "flat.npz", arr_0=np.zeros((30, 0, 0, 3), np.uint8))
    assert "arr_0 is uint8 of shape (30, 0, 0, 3)" in refused(flat)
    text = tmp_path / "text.npz"
    text.write_text("not a zip")
    assert refused(text).startswith(f"{text}: the npz is damaged (")


def test_bytes_that_changed_inside_an_npz_are_noticed(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    path = write_npz(tmp_path / "bad.npz", arr_0=pixels)
    content = bytearray(path.read_bytes())
    content[1500] ^= 255
    path.write_bytes(content)
    assert "the npz is damaged (Bad CRC-32" in refused(path)


def test_pickled_objects_are_never_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, arr_0=np.array([{"a": 1}], dtype=object))
    path = tmp_path / "objects.npz"
    path.write_bytes(buffer.getvalue())
    assert "arr_0 is object of shape (1,)" in refused(path)


def test_an_npz_is_read_in_parts_compressed_or_not(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (PART * 2 + 7, 4, 4, 3), dtype=np.uint8)
    np.savez_compressed(tmp_path / "small.npz", arr_0=pixels)
    found = list(NpzImages(tmp_path / "small.npz").parts())
    assert [len(part) for part in found] == [PART, PART, 7]
    assert np.array_equal(np.concatenate(found), pixels)


def test_an_npz_by_columns_is_refused(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "f.npz", arr_0=np.asfortranarray(np.zeros((30, 8, 8, 3), np.uint8)))
    assert "arr_0 is uint8 of shape (30, 8, 8, 3), stored by columns, and ADM's layout" in refused(path)
