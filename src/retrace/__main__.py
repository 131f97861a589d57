"""Lets `python -m retrace` run the command line, as the rules do."""

import gc

from retrace.cli import main

# A short step makes modules and pages, no garbage: a tenth of its time was the search for some.
gc.set_threshold(50_000, 20, 20)
main()
