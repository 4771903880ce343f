"""The tables of a report, in every format."""
