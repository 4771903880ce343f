"""Scores of human preference: how much people would like an image for its prompt, as a network was taught to guess."""
