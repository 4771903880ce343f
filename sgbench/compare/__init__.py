"""Two result sets, line by line: what changed, what did not, what cannot be compared. No torch."""
