"""GenEval's folders: written whole or resumed, never mixed with another set, read only when nothing is missing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sgbench.base.errors import NoScoreError, UserError
from sgbench.images.files import read_image
from sgbench.images.prompted import read_layout, write_layout

Images = NDArray[np.uint8]
RECORDS: list[dict[str, Any]] = [
    {"tag": "single_object", "include": [{"class": name, "count": 1}], "prompt": f"a photo of a {name}"}
    for name in ("dog", "cat", "bench")
]


def drawn(seed: int = 0, count: int = 4) -> Callable[[int], list[Images]]:
    def images_of(index: int) -> list[Images]:
        rng = np.random.default_rng([seed, index])
        return list(rng.integers(0, 256, (count, 8, 6, 3), dtype=np.uint8))

    return images_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "set"
    write_layout(path, RECORDS, drawn())
    return path


def test_what_was_written_is_read(folder: Path) -> None:
    read = read_layout(folder)
    assert [record for record, _ in read] == RECORDS
    for index, (_, paths) in enumerate(read):
        assert [p.relative_to(folder).as_posix() for p in paths] == [
            f"0000{index}/samples/000{number}.png" for number in range(4)
        ]
        for path, image in zip(paths, drawn()(index), strict=True):
            assert np.array_equal(read_image(path), image)
    # The published evaluator reads each file with one json.load.
    assert json.loads((folder / "00002" / "metadata.jsonl").read_text()) == RECORDS[2]


def test_writing_goes_on_where_it_stopped(folder: Path) -> None:
    kept, lost = folder / "00000/samples/0001.png", folder / "00001/samples/0003.png"
    before = kept.stat().st_mtime_ns
    lost.unlink()
    shutil.rmtree(folder / "00002")
    (folder / ".other").touch()
    write_layout(folder, RECORDS, drawn())
    assert kept.stat().st_mtime_ns == before
    assert len(read_layout(folder)) == 3


def test_images_of_another_set_are_not_mixed_in(folder: Path) -> None:
    with pytest.raises(UserError, match=r"00000/samples/0000.png: a different image has this name already"):
        write_layout(folder, RECORDS, drawn(seed=1))
    assert np.array_equal(read_image(folder / "00000/samples/0000.png"), drawn()(0)[0])


@pytest.mark.parametrize("records", [RECORDS[:2], [RECORDS[1], *RECORDS[1:]]])
def test_other_prompts_are_refused(folder: Path, records: list[dict[str, Any]]) -> None:
    with pytest.raises(UserError, match=r"set: the folder already holds something else \(0000[02]\)"):
        write_layout(folder, records, drawn())


def test_a_folder_of_something_else_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("work of years")
    with pytest.raises(UserError, match=r"the folder already holds something else \(thesis.txt\); choose an empty"):
        write_layout(tmp_path, RECORDS, drawn())
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "set").touch()
    with pytest.raises(UserError, match=r"the images could not be written \(Not a directory\)"):
        write_layout(tmp_path / "set", RECORDS, drawn())
    with pytest.raises(UserError, match=r"the file cannot be read \(Not a directory\)"):
        read_layout(tmp_path / "set")
    with pytest.raises(UserError, match=r"the file cannot be read \(No such file"):
        read_layout(tmp_path / "nowhere")


def test_numbers_of_any_length_are_read(folder: Path) -> None:
    """The published sampling script writes five digits, the published layout shows four."""
    (folder / "grid.png").touch()
    for path in (folder / "00001" / "samples").iterdir():
        path.rename(path.with_name(f"0{path.name}"))
    (folder / "00001" / "samples" / "notes.txt").touch()
    assert [p.name for p in read_layout(folder)[1][1]] == [f"0000{n}.png" for n in range(4)]


def test_missing_images_are_counted_and_the_first_named(folder: Path) -> None:
    (folder / "00000/samples/0002.png").unlink()
    shutil.rmtree(folder / "00001")
    shutil.rmtree(folder / "00002/samples")
    with pytest.raises(NoScoreError, match=r"7 of 9 images are missing \(first: 00000/samples/0002.png\).*no score"):
        read_layout(folder)


def test_folders_without_any_image_are_incomplete(folder: Path) -> None:
    for samples in folder.glob("*/samples"):
        shutil.rmtree(samples)
    with pytest.raises(NoScoreError, match=r"3 of 3 images are missing \(first: 00000/samples/0000.png\)"):
        read_layout(folder)


def test_a_number_that_occurs_twice_is_refused(folder: Path) -> None:
    shutil.copy(folder / "00001/samples/0003.png", folder / "00001/samples/00003.png")
    with pytest.raises(NoScoreError, match=r"3 of 15 images are missing \(first: 00000/samples/0004.png\)"):
        read_layout(folder)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there are no prompts in the folder; give one that holds 00000/metadata"):
        read_layout(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"00001/metadata.jsonl: the file cannot be read"),
        (b"\xff", r"00001/metadata.jsonl: the file is not UTF-8 text"),
        (b"{}", r"00001/metadata.jsonl: line 1: the tag is missing"),
        (json.dumps(RECORDS[0]).replace("dog", "star").encode(), r"00001/metadata.jsonl: line 1: unknown class 'star'"),
        (json.dumps(RECORDS[0]).encode() + b"\n" + json.dumps(RECORDS[1]).encode(), r"holds 2 prompts"),
    ],
)
def test_a_prompt_without_a_good_record_is_refused(folder: Path, content: bytes | None, message: str) -> None:
    path = folder / "00001" / "metadata.jsonl"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_layout(folder)
