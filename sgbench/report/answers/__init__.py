"""The questions a report answers, one a file."""
