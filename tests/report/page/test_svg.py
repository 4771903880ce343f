"""Figures as elements of a page."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from sgbench.report.figures.plotting import render
from sgbench.report.page.svg import inline_svgs


@pytest.fixture(scope="module")
def drawn() -> bytes:
    figure = Figure(figsize=(3, 2))
    axes = figure.subplots()
    axes.plot([1, 2, 3], [1.23456789, 2, 3], "o-")
    axes.scatter([1, 2, 3], [3, 2, 1], marker="P", clip_on=True)
    axes.set(title="A </title> & <b>title</b>", xlabel="x")
    return render(figure, "svg")


def test_nothing_of_a_figure_reaches_the_page_but_what_is_drawn(drawn: bytes) -> None:
    made = inline_svgs([drawn], ['a "name" & more'])
    text = made[0][0] + made[1]
    assert text.startswith(
        '<svg id="figure-1" role="img" aria-label="a &quot;name&quot; &amp; more" viewBox="0 0 216 144"'
    )
    for unwanted in ("<style", "metadata", "<!--", "<?xml", "DOCTYPE", "xmlns", "http:", "xlink"):
        assert unwanted not in text
    ElementTree.fromstring(made[0][0])
    ElementTree.fromstring(made[1])


def test_every_reference_leads_somewhere_and_no_id_is_there_twice(drawn: bytes) -> None:
    made = inline_svgs([drawn, drawn], ["one", "two"])
    text = made[1] + "".join(made[0])
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    wanted = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text))
    assert {name for pair in wanted for name in pair if name} <= set(ids)
    assert set(ids) == {"figure-1", "figure-2"} | {name for pair in wanted for name in pair if name}


def test_what_figures_share_is_held_once(drawn: bytes) -> None:
    one, two = inline_svgs([drawn], [""]), inline_svgs([drawn, drawn], ["", ""])
    assert one[1] == two[1]
    assert inline_svgs([], []) == ([], "")


def test_coordinates_are_rounded_and_scales_are_not() -> None:
    svg = (
        b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><g id="unused">'
        b'<path d="M 1.23456 -0.001 \nL 2 3.5 \nz" transform="translate(1.98765 2) scale(0.015625)" '
        b'style="fill: none; stroke: #000000"/></g></svg>'
    )
    ((figure,), _) = inline_svgs([svg], ["x"])
    assert figure.partition('butt">')[2] == (
        '<path d="M1.23 0L2 3.5z" transform="translate(1.99 2) scale(0.015625)" style="fill:none;stroke:#000000"/>'
        "</svg>"
    )


def test_a_figure_is_smaller_inside_of_a_page_and_looks_the_same(drawn: bytes) -> None:
    made = inline_svgs([drawn], ["x"])
    assert len(made[0][0]) < len(drawn) / 2
    marks = re.findall(r"<use ", drawn.decode())
    assert len(re.findall(r"<use ", made[0][0])) == len(marks)


def test_an_image_inside_of_a_figure_stays() -> None:
    figure = Figure(figsize=(2, 2))
    figure.subplots().imshow([[0, 1], [2, 3]])
    ((element,), _) = inline_svgs([render(figure, "svg")], ["x"])
    assert re.search(r'<image [^>]*href="data:image/png;base64,[A-Za-z0-9+/= ]+"', element)


def test_letters_are_shifted_in_few_words() -> None:
    svg = (
        b'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">'
        b'<defs><path id="a" d="M 0 0"/></defs><use xlink:href="#a" transform="translate(63.625 0)"/>'
        b'<use xlink:href="#a" x="1" transform="translate(2 3)"/><use xlink:href="#a" transform="scale(2)"/></svg>'
    )
    ((figure,), _) = inline_svgs([svg], ["x"])
    assert re.findall(r"<use ([^/]*)/>", figure) == [
        'href="#mark-1" x="63.62"',
        'href="#mark-1" x="1" transform="translate(2 3)"',
        'href="#mark-1" transform="scale(2)"',
    ]
