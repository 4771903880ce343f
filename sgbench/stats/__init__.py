"""Uncertainty and frontiers. No torch."""
