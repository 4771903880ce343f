"""Scores of human preference: how much people would like an image for its prompt, as a network was taught to guess."""

from sgbench.score.t2i.preference.catalogue import SCORERS, Form, Scorer, Source, benchmark_form, scorer_named
from sgbench.score.t2i.preference.conversation import WorkerError
from sgbench.score.t2i.preference.environments import create_environment, environment, environments_folder
from sgbench.score.t2i.preference.scorer import PreferenceScorer, load_scorer

__all__ = [
    "SCORERS",
    "Form",
    "PreferenceScorer",
    "Scorer",
    "Source",
    "WorkerError",
    "benchmark_form",
    "create_environment",
    "environment",
    "environments_folder",
    "load_scorer",
    "scorer_named",
]
