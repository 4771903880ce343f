"""What a verifying read says of a file."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from sgbench.results.verified_files import read_picture


def test_a_picture_of_any_size_is_verified(tmp_path: Path) -> None:
    """Pillow refuses to open pictures of more than 179 million pixels; verifying decodes none."""
    path = tmp_path / "nearest.png"
    assert read_picture(path) == (None, "")
    Image.new("1", (20_000, 10_000)).save(path)
    content = path.read_bytes()
    assert read_picture(path) == (content, "")
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    assert read_picture(path).problem == "its checksums do not agree"
    path.write_bytes(content[:-4])
    assert read_picture(path).problem
