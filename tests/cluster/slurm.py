"""Snakemake at work on a cluster: what it submits, as SLURM tells of it, and what is done to its jobs."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pages import ENVIRONMENT

SNAKEMAKE = [sys.executable, "-m", "snakemake", "--workflow-profile", "workflow/profiles/slurm"]
PATIENCE = 600
"""Seconds that a call of Snakemake may take. A cluster with a queue takes longer than one without."""


@dataclass
class Job:
    """One submission: `rule` is the rule's or group's name with the values of its wildcards."""

    number: str
    rule: str
    partition: str
    nodes: int
    gpus: int
    states: list[str] = field(default_factory=list)


@dataclass
class Disturbance:
    """Something done once to the job whose rule has `name` in it, when `ready` says that it is time."""

    name: str
    command: str
    ready: Callable[[], bool]
    done_to: str = ""


def submit(root: Path, *arguments: str, disturb: Sequence[Disturbance] = ()) -> tuple[int, str, list[Job]]:
    """Run Snakemake in `root` under the profile; return its exit status, its words and its jobs in order."""
    jobs: dict[str, Job] = {}
    before = {number for number, *_ in _queue()}
    output = root / f"snakemake-{time.monotonic_ns()}.txt"
    quick = ["--slurm-init-seconds-before-status-checks", "2", *_status_command()]
    with output.open("w") as file:
        process = subprocess.Popen(
            [*SNAKEMAKE, *quick, *arguments], cwd=root, env=ENVIRONMENT, stdout=file, stderr=file
        )
    end = time.monotonic() + PATIENCE
    while process.poll() is None:
        if time.monotonic() > end:
            process.terminate()
            raise TimeoutError(f"not done in {PATIENCE} s:\n{output.read_text()[-3000:]}")
        _look(root, jobs, before)
        _disturb(jobs, disturb)
        time.sleep(1)
    _look(root, jobs, before)
    return process.returncode, output.read_text(), list(jobs.values())


def _look(root: Path, jobs: dict[str, Job], before: set[str]) -> None:
    """Take down what SLURM tells of the jobs submitted from `root`, but of none that was `before`."""
    for number, comment, partition, state, nodes, folder in _queue():
        if number in before or Path(folder) != root or not comment.startswith("rule_"):
            continue
        if number not in jobs:
            rule = comment.removeprefix("rule_").replace("_wildcards_", " ")
            jobs[number] = Job(number, rule, partition, int(nodes), _gpus(number))
        states = jobs[number].states
        if state not in states[-1:]:
            states.append(state)


def _queue() -> Iterator[list[str]]:
    words = ["squeue", "--me", "--noheader", "--states=all", "--format=%i|%k|%P|%T|%D|%Z"]
    answer = subprocess.run(words, capture_output=True, text=True, check=True)
    yield from (line.split("|") for line in answer.stdout.splitlines())


def _gpus(number: str) -> int:
    """Return how many GPUs a job has asked for: of its own, or on each of its nodes."""
    words = ["scontrol", "show", "job", "--oneliner", number]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    found = re.search(r"TresPer(?:Job|Node)=\S*?gpu(?::[A-Za-z]\w*)?:(\d+)", told)
    return int(found[1]) if found else 0


def _disturb(jobs: dict[str, Job], disturb: Sequence[Disturbance]) -> None:
    """Do what is to be done to the jobs that are running: to each job once, in the order of `disturb`."""
    touched = {one.done_to for one in disturb}
    for job in jobs.values():
        if job.states[-1] != "RUNNING" or job.number in touched:
            continue
        waiting = (one for one in disturb if one.name in job.rule and not one.done_to)
        first = next(waiting, None)
        if first is not None and first.ready():
            command = first.command.format(job=job.number)
            answer = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
            assert answer.returncode == 0, answer.stderr
            first.done_to = job.number


def _status_command() -> list[str]:
    """Return the setting for a site whose sacct does not answer."""
    asked = subprocess.run(["sacct", "--noheader"], capture_output=True, check=False)
    return ["--slurm-status-command", "squeue"] if asked.returncode else []


def trains(folder: Path) -> Callable[[], bool]:
    """Return whether epochs were finished in `folder` since that was last asked."""
    told = [0]

    def ready() -> bool:
        log = folder / "log.jsonl"
        before, told[0] = told[0], log.stat().st_size if log.is_file() else 0
        return 0 < before < told[0]

    return ready
