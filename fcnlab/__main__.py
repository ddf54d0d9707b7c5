"""`python -m fcnlab`."""

from fcnlab.cli import main

main()
