"""Judges of composition, and the records of all judges."""
