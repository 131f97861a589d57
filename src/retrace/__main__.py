"""Lets `python -m retrace` run the command line."""

from retrace.cli import main

main()
