"""Files from elsewhere: where they lie, how they are fetched, what they hash to. No torch."""
