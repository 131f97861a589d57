"""Rules run in an environment that Snakemake makes with conda, or in a container. Scripts play both here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pages import ENVIRONMENT, ROOT, copy_pages, edit

LEDGER = "results/tiny/ledger.csv"
PYTHON = f"""#!/bin/sh
echo "python $*, PYTHONPATH=$PYTHONPATH" >> $PLAYED
case "$*" in "-m pip "*) exit 0;; esac
exec {sys.executable} "$@"
"""
CONDA = """#!/bin/sh
case "$*" in
  "info --json") echo '{"conda_prefix": "'$BASE'", "platform": "linux-64"}';;
  "--version") echo "conda 99.1.1";;
  "config --get channel_priority --json") echo '{"get": {"channel_priority": "strict"}}';;
  "env create "*)
    while [ "$1" != --prefix ]; do shift; done
    mkdir -p "$2/bin" && cp $BASE/python "$2/bin/python" && cp $BASE/uv "$2/bin/uv";;
  "clean "*) ;;
  *) echo "what is $*?" >&2; exit 1;;
esac
"""
APPTAINER = """#!/bin/sh
[ "$1" = --version ] && { echo "apptainer version 1.3.0"; exit 0; }
echo "apptainer $*" >> $PLAYED
while [ "$1" != envs/retrace.sif ]; do shift; done
shift
PATH=$BASE/container:/usr/bin:/bin exec "$@"
"""


@pytest.fixture
def root(tmp_path) -> Path:
    """A repository at a tiny scale, and beside it, in PATH, what plays conda and apptainer."""
    root = copy_pages(tmp_path / "root")
    for folder in ("workflow", "envs"):
        shutil.copytree(ROOT / folder, root / folder)
    (root / "src").symlink_to(ROOT / "src")
    edit(root, "config.yaml", "scale: demo", "scale: tiny")
    base = tmp_path / "base"
    scripts = {"bin/conda": CONDA, "bin/apptainer": APPTAINER, "python": PYTHON, "container/python": PYTHON}
    scripts |= {"uv": '#!/bin/sh\necho "uv $*" >> $PLAYED\n', "bin/activate": 'export PATH="$1/bin:$PATH"\n'}
    for name, text in scripts.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    return root


def played(root: Path, *arguments: str) -> list[str]:
    """Make one file under Snakemake and return what was asked of the environment, in order."""
    base, log = root.parent / "base", root.parent / "played.txt"
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "PYTHONPATH"}
    environment |= {"BASE": str(base), "PLAYED": str(log), "PATH": f"{base}/bin:{os.environ['PATH']}"}
    environment["PYTHONPATH"] = str(ROOT / "src")
    answer = subprocess.run(
        [sys.executable, "-m", "snakemake", LEDGER, *arguments],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert answer.returncode == 0, answer.stdout[-3000:]
    assert (root / LEDGER).exists()
    return log.read_text().splitlines() if log.exists() else []


def test_with_conda_the_lock_is_installed_and_the_rule_runs_on_it_with_the_code_of_the_clone(root):
    pip, uv, rule = played(root, "--sdm", "conda")
    assert pip.startswith("python -m pip install --require-hashes --requirement envs/uv.lock.txt")
    assert uv.startswith("uv pip install --python ")
    assert uv.endswith(" --require-hashes --requirement requirements.lock")
    assert rule == f"python -m retrace ledger --scale tiny, PYTHONPATH={root}/src"


def test_with_apptainer_the_rule_runs_in_the_image_with_the_code_of_the_clone(root):
    container, rule = played(root, "--sdm", "apptainer")
    assert container.startswith(f"apptainer exec --home {root}")
    assert rule == f"python -m retrace ledger --scale tiny, PYTHONPATH={root}/src"


def test_without_either_the_python_of_snakemake_runs_the_rule(root):
    assert played(root) == []
