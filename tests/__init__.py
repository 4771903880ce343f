"""The tests of sgbench; a package, since torch-fidelity installs another one of this name."""
