"""Judges of human preference: networks trained to predict how much people like an image for its prompt."""
