"""One thread for every test: two that spin for the same core take minutes over milliseconds of work."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
