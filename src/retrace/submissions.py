"""How many jobs a cluster would be given: counted in a dry run of Snakemake under the profile for SLURM."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from retrace.errors import UserError

PROFILE = Path("workflow/profiles/slurm")
_JOB = re.compile(r"^( *)rule (\w+):\n(?: +input: .*\n)? +output: ", re.MULTILINE)
"""A rule without output is a name for others: no job comes of it."""
_GROUP = re.compile(r"^\[.*\] Group job (\S+) .*\n((?: .*\n|\n)*)", re.MULTILINE)


def submissions(targets: Sequence[str], scale: str) -> str:
    """Return a table of what would be submitted for `targets` at `scale`, of everything if there are none.

    Jobs of a group share one submission. Raises UserError with Snakemake's words if it refuses.
    """
    answer = _dry_run([*targets, "--config", f"scale={scale}"])
    lines = _lines(answer)
    submitted, jobs = (sum(line[number] for line in lines) for number in (1, 2))
    table = tabulate(lines, ["rule or group", "submissions", "jobs"], tablefmt="simple", intfmt=",")
    return f"{table}\n\n{submitted:,} submissions for {jobs:,} jobs, at scale {scale} under {PROFILE}"


def _dry_run(arguments: Sequence[str]) -> str:
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--dry-run",
        "--nocolor",
        "--workflow-profile",
        str(PROFILE),
    ]
    answer = subprocess.run(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if answer.returncode != 0:
        raise UserError(
            f"snakemake refuses: {answer.stdout.rpartition('Building DAG of jobs...')[2].strip()}"
        )
    return answer.stdout


def _lines(announced: str) -> list[tuple[str, int, int]]:
    """Return (rule or group, submissions, jobs) for everything that a dry run announces."""
    alone = Counter(rule for indent, rule in _JOB.findall(announced) if not indent)
    groups: Counter[str] = Counter()
    members: Counter[str] = Counter()
    for name, content in _GROUP.findall(announced):
        groups[name] += 1
        members[name] += len(_JOB.findall(content))
    shared = [(f"group {name}", groups[name], members[name]) for name in sorted(groups)]
    return [*((rule, count, count) for rule, count in sorted(alone.items())), *shared]
