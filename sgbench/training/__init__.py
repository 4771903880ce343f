"""Training of the embedded models. Nothing else needs it."""
