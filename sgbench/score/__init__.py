"""Scores: one metric per file, each value with its protocol and its uncertainty."""
