"""The samplers, one a file: every file here has a SAMPLER, and no table lists them. No torch at import."""
