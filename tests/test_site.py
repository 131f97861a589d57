"""What SLURM refuses of the profile is told before anything is submitted. Here a script plays SLURM."""

import os
from pathlib import Path

import pytest
import yaml

from pages import ROOT
from retrace.errors import UserError
from retrace.site import examine
from retrace.submissions import PROFILE

SBATCH = """#!/bin/sh
echo "$@" >> "{log}"
case "$*" in *--partition=gpu*) echo "allocation failure: Requested time limit is invalid" >&2; exit 1;; esac
"""


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A repository with the project's profile, on a machine whose SLURM takes no jobs for GPUs."""
    for name, text in {"sbatch": SBATCH, "sacct": "#!/bin/sh\nexit 1\n"}.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("{log}", str(tmp_path / "asked.txt")))
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    (tmp_path / PROFILE).mkdir(parents=True)
    (tmp_path / PROFILE / "config.yaml").write_bytes((ROOT / PROFILE / "config.yaml").read_bytes())
    return tmp_path


def change(root: Path, **train: object) -> None:
    path = root / PROFILE / "config.yaml"
    page = yaml.safe_load(path.read_text())
    page["set-resources"]["train"] |= train
    path.write_text(yaml.safe_dump(page))


def asked(root: Path, rule: str) -> str:
    """Return what is asked of SLURM for `rule`."""
    line = next(line for line in examine(root).splitlines() if f" {rule}: " in line)
    words = line.partition(f" {rule}: ")[2].partition(": ")[0]
    assert f"--test-only --output=/dev/null {words} --wrap=true" in (root / "asked.txt").read_text()
    return words


def test_every_rule_is_tried_and_what_is_refused_says_why(root):
    lines = examine(root).splitlines()
    refused = [
        line for line in lines if line.endswith(": allocation failure: Requested time limit is invalid")
    ]
    assert {line.split()[1] for line in refused} >= {"train:", "score:", "maps:", "speed:"}
    assert all(line.startswith("missing  ") for line in refused)
    assert all(line.startswith("ok  ") for line in lines[:-1] if line not in refused)
    assert lines[-1].startswith("missing  states of jobs: sacct does not answer")


def test_a_first_attempt_is_asked_for(root):
    assert asked(root, "train") == "--partition=gpu --time=1440 --mem=32000 --cpus-per-gpu=8 --gpus=1"
    assert asked(root, "default-resources") == "--partition=cpu --time=60 --mem=4000"


def test_what_a_site_wants_is_asked_for(root):
    change(root, gpu_model="a100", slurm_account="lab", gpu=4)
    assert asked(root, "train").split()[1] == "--account=lab"
    assert asked(root, "train").split()[-1] == "--gpus=a100:4"
    change(root, gpu=0, gres="gpu:4", cpus_per_task=32, nodes=2, tasks=2)
    words = set(asked(root, "train").split())
    assert {"--gres=gpu:4", "--cpus-per-task=32", "--nodes=2", "--ntasks=2"} <= words
    assert not any(word.startswith(("--gpus", "--cpus-per-gpu")) for word in words)


def test_squeue_is_taken_at_its_word(root):
    path = root / PROFILE / "config.yaml"
    path.write_text(path.read_text() + "slurm-status-command: squeue\n")
    assert examine(root).endswith("ok       states of jobs: squeue, as the profile says")


def test_without_slurm_it_says_so(root, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert examine(root).startswith("missing  sbatch: there is no SLURM here")


@pytest.mark.parametrize("text", ["", "jobs: [", "jobs: 3"])
def test_a_profile_that_is_none_is_refused(root, text):
    (root / PROFILE / "config.yaml").write_text(text)
    with pytest.raises(UserError, match="is no profile as it was"):
        examine(root)
