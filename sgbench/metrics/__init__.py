"""One metric a file, with the extractors, references and judges they use."""
