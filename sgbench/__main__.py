"""`python -m sgbench`."""

from sgbench.cli.app import main

main()
