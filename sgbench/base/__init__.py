"""What every other folder may use: errors, text, atomic files, progress, provenance, signals. No torch."""
