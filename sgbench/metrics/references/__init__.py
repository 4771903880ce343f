"""What images are compared with: built, kept, loaded."""
