"""Guidance rules, and what is common to them. Nothing here needs torch before predictions are combined."""

from sgbench.guidance.branches import Branch as Branch
from sgbench.guidance.branches import Rule as Rule
from sgbench.guidance.formulas import add_perturbed_guidance as add_perturbed_guidance
from sgbench.guidance.formulas import combine as combine
from sgbench.guidance.formulas import rescale as rescale
from sgbench.guidance.rules import RULES as RULES
