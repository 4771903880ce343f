"""The torch networks, one a file, and how their weights are read, converted and compared."""
