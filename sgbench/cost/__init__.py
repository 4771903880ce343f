"""What a cell costs: multiply-accumulates, seconds, bytes, joules."""
