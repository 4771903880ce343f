"""Markers of matplotlib as paths of the page."""

from __future__ import annotations

import re

import pytest

from sgbench.guidance import RULES
from sgbench.report.page.payload import marker_path


def test_a_square_and_a_triangle_by_hand() -> None:
    # Matplotlib's square is one unit wide, the page's two; its triangle points up, which is to negative y here.
    assert marker_path("s") == "M-1,1L1,1L1,-1L-1,-1Z"
    assert marker_path("^") == "M0,-1L-1,1L1,1Z"


@pytest.mark.parametrize("marker", sorted({style.marker for style in (rule.style for rule in RULES.values())}))
def test_every_rules_marker_is_a_closed_path_of_the_same_size(marker: str) -> None:
    path = marker_path(marker)
    assert re.fullmatch(r"(M[^A-Z]+([LQC][^A-Z]+)+Z)+", path)
    extent = max(abs(float(number)) for number in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", path))
    assert 0.9 <= extent <= 1.5
