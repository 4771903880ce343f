"""Files from elsewhere: where they are, how they are fetched, and their digests. No torch."""
