"""Whether the cluster at hand takes what the profile for SLURM asks for: SLURM is asked, for each rule."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from retrace.errors import UserError
from retrace.submissions import PROFILE

_CONFIG = PROFILE / "config.yaml"
_FLAGS = {
    "slurm_partition": "--partition",
    "slurm_account": "--account",
    "qos": "--qos",
    "constraint": "--constraint",
    "runtime": "--time",
    "mem_mb": "--mem",
    "gres": "--gres",
    "nodes": "--nodes",
    "tasks": "--ntasks",
    "cpus_per_gpu": "--cpus-per-gpu",
    "cpus_per_task": "--cpus-per-task",
}
"""What Snakemake's executor makes of a resource; beside it only `gpu`, with `gpu_model`."""


def examine(root: Path) -> str:
    """Return one line per thing looked at, each marked ok or missing.

    A job that SLURM refuses can leave Snakemake waiting for ever. Raises UserError without a profile.
    """
    if shutil.which("sbatch") is None:
        return "missing  sbatch: there is no SLURM here; is this the login node?"
    profile = _profile(root)
    asked = {"default-resources": {}, **profile["set-resources"]}
    lines = [_tried(name, profile["default-resources"] | own) for name, own in asked.items()]
    return "\n".join([*lines, _accounting(profile)])


def _profile(root: Path) -> dict[str, Any]:
    try:
        profile = dict(yaml.safe_load((root / _CONFIG).read_text(encoding="utf-8")))
        return profile | {key: dict(profile[key]) for key in ("default-resources", "set-resources")}
    except (OSError, yaml.YAMLError, TypeError, ValueError, KeyError) as error:
        raise UserError(f"{_CONFIG} is no profile as it was: {error}") from error


def _tried(name: str, resources: Mapping[str, Any]) -> str:
    """Ask SLURM whether it would take such a job; nothing is submitted."""
    words = list(_words(resources))
    answer = _run(["sbatch", "--test-only", "--output=/dev/null", *words, "--wrap=true"])
    if answer.returncode == 0:
        return f"ok       {name}: {' '.join(words)}"
    told = [line for line in answer.stderr.splitlines() if line.strip()]
    return f"missing  {name}: {' '.join(words)}: {told[-1] if told else 'sbatch refuses'}"


def _words(resources: Mapping[str, Any]) -> Iterator[str]:
    values = {name: _first(value) for name, value in resources.items()}
    for name, flag in _FLAGS.items():
        if values.get(name) is not None and (name != "cpus_per_gpu" or "cpus_per_task" not in values):
            yield f"{flag}={values[name]}"
    if gpus := values.get("gpu"):
        model = values.get("gpu_model")
        yield f"--gpus={model}:{gpus}" if model else f"--gpus={gpus}"


def _first(value: Any) -> Any:
    """Return a resource as the first attempt asks for it: a number or a word, evaluated as Snakemake does."""
    try:
        return eval(str(value), {"__builtins__": {}}, {"attempt": 1, "min": min, "max": max})
    except (NameError, SyntaxError):
        return value


def _accounting(profile: Mapping[str, Any]) -> str:
    if profile.get("slurm-status-command") == "squeue":
        return "ok       states of jobs: squeue, as the profile says"
    if _run(["sacct", "--noheader", "--allocations"]).returncode == 0:
        return "ok       states of jobs: sacct answers"
    return f"missing  states of jobs: sacct does not answer; {_CONFIG} needs slurm-status-command: squeue"


def _run(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(words, 1, "", str(error))
