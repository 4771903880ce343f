"""Run cells and keep what they give."""
