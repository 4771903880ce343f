"""Every rule has a look of its own, and the main ones are told apart by colour-blind readers too."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from sgbench.guidance import RULES
from sgbench.guidance.segments import JOINT

MAIN = ("none", "cfg", "icg", "ag", "sg", "cfg+sg", "ag+sg")
# Machado, Oliveira and Fernandes 2009, table 1, severity 1.0; they act on linear RGB.
SIGHTS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
# Linear sRGB to XYZ and the white point D65 (IEC 61966-2-1).
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])


def lab(colour: str, sight: np.ndarray) -> np.ndarray:
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    share = XYZ @ np.clip(sight @ linear, 0, 1) / WHITE
    f = np.where(share > (6 / 29) ** 3, np.cbrt(share), share / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


STYLES = [rule.style for rule in RULES.values() if JOINT not in rule.name]


def test_every_rule_has_a_colour_and_marker_of_its_own() -> None:
    assert len({(style.colour, style.marker) for style in STYLES}) == len(STYLES)


def test_lines_without_marks_are_told_apart_too() -> None:
    assert len({(style.colour, style.line) for style in STYLES}) == len(STYLES)


@pytest.mark.parametrize("sight", SIGHTS)
def test_main_rules_differ_in_colour(sight: str) -> None:
    """A CIE 1976 difference of 10 is about four times what is just noticed."""
    colours = [lab(RULES[rule].style.colour, SIGHTS[sight]) for rule in MAIN]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(colours, 2)) > 10
