"""From noise to images: randomness by counter, samplers as pure functions, one engine."""
