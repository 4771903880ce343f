"""What counts as the same report: another processor's rounding, and nothing that a reader could see."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from sgbench.report.figures.plotting import FORMATS, Kind, render
from tests.report.alike import difference

each_kind = pytest.mark.parametrize("kind", FORMATS)


def drawn(kind: Kind, mark: float = 20.0, word: str = "quality", marks: int = 9, rounding: float = 0.0) -> bytes:
    """A figure of everything that reports draw: marks, lines, a frame that clips, an image, words."""
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    figure.subplots_adjust(left=0.15 + rounding)
    x = np.geomspace(1, 50, marks)
    axes.plot(x, np.sqrt(x), "o-")
    axes.scatter([mark], [mark / 10], marker="P", s=60)
    axes.imshow([[0.0, 1.0], [2.0, 3.0]], extent=(2, 5, 4, 6), aspect="auto")
    axes.set(xscale="log", xlabel=word, xlim=(0.9, 60), ylim=(0, 8))
    return render(figure, kind)


def picture(kind: str, changes: int = 0, levels: int = 0) -> bytes:
    """Grey noise, of which some pixels are lighter."""
    pixels = np.random.default_rng(0).integers(0, 200, (100, 100, 3), dtype=np.uint8)
    pixels.reshape(-1, 3)[:changes] += np.uint8(levels)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, lossless=True)
    return buffer.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "rounding"), [("png", 1e-6), ("svg", 1e-9), ("pdf", 1e-9)])
def test_a_figure_of_other_rounding_is_the_same(kind: Kind, rounding: float) -> None:
    other = drawn(kind, rounding=rounding)
    assert other != drawn(kind)
    assert difference(f"a.{kind}", drawn(kind), other) == ""


@pytest.mark.slow
@each_kind
def test_a_mark_that_moved_is_missed_in_no_kind_of_file(kind: Kind) -> None:
    assert difference(f"a.{kind}", drawn(kind), drawn(kind, 20.2))


@pytest.mark.slow
@each_kind
def test_another_word_or_mark_is_missed_in_no_kind_of_file(kind: Kind) -> None:
    assert difference(f"a.{kind}", drawn(kind), drawn(kind, word="quantity"))
    assert difference(f"a.{kind}", drawn(kind), drawn(kind, marks=8))


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_pictures_may_differ_in_few_pixels_by_little(kind: str) -> None:
    old = picture(kind)
    assert difference(f"a.{kind}", old, picture(kind, 90, 2)) == ""
    assert difference(f"a.{kind}", old, picture(kind, 1, 50)) == "1 pixels of a picture, by up to 50 levels"
    assert difference(f"a.{kind}", old, picture(kind, 500, 1)) == "500 pixels of a picture, by up to 1 levels"


def test_pictures_inside_of_a_page_are_compared_as_pictures() -> None:
    def page(image: bytes, count: int = 1) -> bytes:
        return b"".join(b'<img src="data:image/png;base64,' + base64.b64encode(image) + b'">' for _ in range(count))

    old = picture("png")
    assert difference("index.html", page(old), page(picture("png", 90, 2))) == ""
    assert "by up to 50 levels" in difference("index.html", page(old), page(picture("png", 1, 50)))
    assert difference("index.html", page(old), page(old, 2)) == "how many pictures there are: 1, 2"


TEXT = "FD 0.31438070548684394 at 960 images, 0.314 ± 0.018, w 1.5, cell a2b13eb743eb5144, path M 0 1.5e-07"


@pytest.mark.parametrize(
    ("old", "new"),
    [("0.31438070548684394", "0.31438070548684411"), ("0.314 ", "0.315 "), ("M 0", "M -0"), ("M 0", "M 5.55e-17")],
)
def test_numbers_that_were_computed_may_be_rounded_otherwise(old: str, new: str) -> None:
    assert difference("table.csv", TEXT.encode(), TEXT.replace(old, new).encode()) == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.31438070548684394", "0.31448070548684394"),
        ("0.314 ± 0.018", "0.315 ± 0.019"),
        ("0.018", "0.019"),
        ("w 1.5", "w 1.6"),
        ("1.5e-07", "1.5e-06"),
        ("960", "961"),
        ("5144", "5145"),
        ("images", "pictures"),
        (", path M 0 1.5e-07", ""),
    ],
)
def test_other_numbers_digests_words_and_less_of_them_are_differences(old: str, new: str) -> None:
    assert difference("table.csv", TEXT.encode(), TEXT.replace(old, new).encode())


def test_references_are_compared_as_they_are() -> None:
    assert difference("references.bib", b"arXiv 2601.01608", b"arXiv 2601.01609") == "references"
