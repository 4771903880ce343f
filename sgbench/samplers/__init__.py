"""Samplers: `methods/` holds one a file, around a pure function. No torch before images are sampled."""
