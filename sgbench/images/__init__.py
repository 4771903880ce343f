"""Sets of images to score, from folders, npz files and other tools. No torch."""
