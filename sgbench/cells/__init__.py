"""A cell of a sweep, its identity, its prompts, the calls it makes and what they cost. No torch."""
