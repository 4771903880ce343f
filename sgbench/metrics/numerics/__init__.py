"""The arithmetic behind the metrics."""
