# Everything a newcomer types. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
BIN := .venv/bin
READY := .venv/ready

.PHONY: help reproduce test test-cluster lint lock schemas

help:  ## list what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

reproduce: $(READY)  ## set up, run everything at scale demo, and say which page to open
	@$(BIN)/retrace unlock
	$(BIN)/snakemake --quiet host reason rules
	@echo "Done. Open results/demo/index.html in a browser."

test: $(READY)  ## set up and run the tests
	$(BIN)/python -m pytest

test-cluster: $(READY)  ## set up and try the pipeline on the SLURM that sbatch reaches
	$(BIN)/python -m pytest -n 0 tests/cluster

lint: $(READY)  ## check style, types and the workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check workflow
	$(BIN)/mypy
	$(BIN)/snakemake --lint

lock: $(READY)  ## resolve pyproject.toml anew into requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
	  --extra dev pyproject.toml --output-file requirements.lock
	grep -A 100 '^uv==' requirements.lock | awk 'NR > 1 && /^[a-z]/ {exit} /^ +#/ {next} {print}' > envs/uv.lock.txt

schemas: $(READY)  ## write workflow/schemas/ from the types of the pages
	$(BIN)/retrace schemas

$(READY): requirements.lock envs/uv.lock.txt
	@python3 -c 'import sys; sys.exit("retrace needs Python 3.11 or newer; python3 is %d.%d" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	python3 -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement envs/uv.lock.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes \
	  --requirement requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $(READY)
