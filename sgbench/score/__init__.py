"""Score cells and images of other tools; every value has its protocol and its uncertainty."""
