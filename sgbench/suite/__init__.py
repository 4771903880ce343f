"""Suites: what a person wrote, checked and expanded into cells. Torch is not needed here."""
