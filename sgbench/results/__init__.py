"""The results tree: the one place that writes under `results/`. No torch."""
