"""Checks whether results are whole and the installation is sound, and repairs what can be repaired."""
