#!/usr/bin/env bash
# The locked packages, into the environment that is active. Run from the repository's folder.
set -euo pipefail
python -m pip install --require-hashes --requirement envs/uv.lock.txt
uv pip install --python "$(command -v python)" --require-hashes --requirement requirements.lock
