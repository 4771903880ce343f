"""index.html: one self-contained file, every value escaped, no request to anywhere. No torch."""
