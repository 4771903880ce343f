"""Compares two sets of results line by line: what changed, what did not, what is not comparable. No torch."""
