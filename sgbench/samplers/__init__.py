"""One sampler a file, as a pure function; clocks and settings need no torch."""
