"""What to cite for a suite."""
