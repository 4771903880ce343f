"""Networks that turn images into features, one per file; `catalogue.py` says what each is, `extract.py` runs them."""
