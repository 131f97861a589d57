"""A small pipeline on a real SLURM, the one that `sbatch` reaches: `make test-cluster`.

Environment variables tell of the site: RETRACE_CPU_PARTITION, RETRACE_GPU_PARTITION, RETRACE_ACCOUNT,
RETRACE_GPU_MODEL (default: what the profile says), and RETRACE_CLUSTER_FOLDER, a folder that every machine
of the cluster sees (default: results/test-cluster).
"""

import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import yaml
from lab import FOLDER, PROFILE, SHARDS, build, run_of
from safetensors.torch import load_file
from slurm import Disturbance, Job, submit, trains

from pages import ENVIRONMENT
from retrace.plan.layout import SHARD, answers_of, collection_folder, data_of, run_folder
from retrace.plan.plan import Plan

if shutil.which("sbatch") is None:
    pytest.skip("there is no sbatch here: no cluster to test on", allow_module_level=True)

CANCEL = "scancel {job}"
KILL = "scancel --signal=KILL {job}"
WARN = "scancel --signal=USR1 {job}"
END_NOW = "scancel --signal=STOP {job} && scontrol update JobId={job} EndTime=now+2"
"""SLURM sees that its time is over when it next looks at the clock, in half a minute. Till then it sleeps."""
TWO_NODES = {"gpu": 0, "gres": "gpu:1", "cpus_per_task": 2, "nodes": 2, "tasks": 2, "mpi": "srun"}


class Seen(NamedTuple):
    """What there was to see: the repositories and Snakemake's words, jobs and exit status in each."""

    plan: Plan
    alone: Path
    spread: Path
    first: tuple[int, str, list[Job]]
    on_two: tuple[int, str, list[Job]]


@pytest.fixture(scope="module")
def seen() -> Seen:
    """The pipeline, disturbed; beside it the same trainings undisturbed, and one on two nodes."""
    root, alone, spread = (build(FOLDER / name) for name in ("disturbed", "alone", "two-nodes"))
    plan = Plan(root, "small")
    run = {row: run_folder(run_of(plan, row)) for row in ("steady", "cancelled", "late")}
    steady = run_of(plan, "steady")
    generate(alone, *(data_of(split).parent for split in (steady.train, steady.val)))
    (spread / "results").symlink_to(alone / "results")
    on_two_nodes(spread)
    weights = {row: f"{folder}/weights.safetensors" for row, folder in run.items()}
    scores = str(answers_of(steady, next(iter(plan.views[run["steady"].name].values()))))
    disturb = [
        Disturbance(run["cancelled"].name, CANCEL, trains(root / run["cancelled"])),
        Disturbance(run["late"].name, END_NOW, trains(root / run["late"])),
        Disturbance(run["cancelled"].name, KILL, trains(root / run["cancelled"])),
        Disturbance(run["late"].name, WARN, trains(root / run["late"])),
    ]
    with ThreadPoolExecutor() as pool:
        targets = (scores, weights["cancelled"], weights["late"], *shards(plan))
        first = pool.submit(submit, root, *targets, disturb=disturb)
        on_two = pool.submit(submit, spread, weights["steady"])
        for row in ("cancelled", "late"):
            train(alone, run[row])
        return Seen(plan, alone, spread, first.result(), on_two.result())


def on_two_nodes(root: Path) -> None:
    """Write what the comment in the profile says for several machines into the profile of `root`."""
    path = root / PROFILE
    profile = yaml.safe_load(path.read_text(encoding="utf-8"))
    train = profile["set-resources"]["train"]
    del train["cpus_per_gpu"]
    train |= TWO_NODES | {"tasks_per_gpu": 0}
    path.write_text(yaml.safe_dump(profile, sort_keys=False), encoding="utf-8")


def shards(plan: Plan) -> list[str]:
    collection = plan.library.collection("tiny")
    wildcards = {"dataset": "tiny", "collection": collection_folder(collection).name}
    return [SHARD.format(**wildcards, shard=f"{shard:04d}") for shard in range(SHARDS)]


def generate(root: Path, *folders: Path) -> None:
    for folder in folders:
        retrace(root, "generate", "--spec", f"{folder}/split.json")


def train(root: Path, folder: Path) -> None:
    retrace(root, "train", "--spec", f"{folder}/spec.json")


def retrace(root: Path, *words: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "retrace", *words], cwd=root, env=ENVIRONMENT, check=True, capture_output=True
    )


def of(jobs: list[Job], rule: str) -> list[Job]:
    return [job for job in jobs if job.rule.startswith(rule)]


def test_the_doctor_finds_that_slurm_takes_every_rule_and_tells_what_it_refuses(seen):
    def doctor(root: Path) -> list[str]:
        words = [sys.executable, "-m", "retrace", "doctor", "cluster"]
        answer = subprocess.run(words, cwd=root, env=ENVIRONMENT, capture_output=True, text=True)
        return answer.stdout.splitlines()[:-1]  # the last is about sacct

    assert all(line.startswith("ok ") for line in doctor(seen.plan.root))
    assert all(line.startswith("ok ") for line in doctor(seen.spread))
    path = seen.alone / PROFILE
    profile = yaml.safe_load(path.read_text(encoding="utf-8"))
    profile["set-resources"]["train"]["slurm_partition"] = "no-such-partition"
    path.write_text(yaml.safe_dump(profile), encoding="utf-8")
    [refused] = [line for line in doctor(seen.alone) if not line.startswith("ok ")]
    assert refused.startswith("missing  train: --partition=no-such-partition ")


def test_gpu_rules_are_on_the_gpu_partition_with_their_gpus_and_the_others_are_not(seen):
    profile = yaml.safe_load((seen.plan.root / PROFILE).read_text(encoding="utf-8"))
    of_gpu = profile["set-resources"]["train"]["slurm_partition"]
    of_cpu = profile["default-resources"]["slurm_partition"]
    jobs = seen.first[2]
    on_gpu = [*of(jobs, "train "), *of(jobs, "score ")]
    assert len(on_gpu) > 2
    assert {(job.partition, job.gpus) for job in on_gpu} == {(of_gpu, 1)}
    assert {(job.partition, job.gpus) for job in jobs if job not in on_gpu} == {(of_cpu, 0)}


def test_shards_share_a_submission_and_every_submission_was_announced(seen):
    status, output, jobs = seen.first
    assert status == 0, output[-3000:]
    [shards] = of(jobs, "shards-tiny")
    assert shards.states[-1] == "COMPLETED"
    assert len(list(seen.plan.root.glob("results/data/tiny/*/shards/*.parquet"))) == SHARDS
    alone = ("clips", "manifests", "shards-tiny", "score")
    assert [len(of(jobs, name)) for name in alone] == [1, 1, 1, 1]
    assert len(of(jobs, "train")) == 3 + 4  # two of the three are started again twice
    assert len(jobs) == 4 + 7


@pytest.mark.parametrize(("row", "first"), [("cancelled", "CANCELLED"), ("late", "TIMEOUT")])
def test_a_training_that_slurm_ends_twice_goes_on_and_ends_with_the_same_weights(seen, row, first):
    folder = run_folder(run_of(seen.plan, row))
    attempts = [job for job in of(seen.first[2], "train") if folder.name in job.rule]
    *ended, last = (job.states[-1] for job in attempts)
    assert last == "COMPLETED"
    assert len(ended) == 2 and ended[0] == first and ended[1] in ("CANCELLED", "FAILED")
    last_log = (seen.plan.root / f"results/logs/train/home/{folder.name}.log").read_text()
    assert int(re.search(r"^epoch (\d+)/", last_log, flags=re.MULTILINE)[1]) > 1, "it began anew"
    same_weights(seen.plan.root / folder, seen.alone / folder)


def first_epoch(folder: Path) -> dict:
    return json.loads((folder / "log.jsonl").read_text().splitlines()[0])


def same_weights(folder: Path, expected: Path) -> None:
    """Hold the weights in one folder against those in another: on the CPU they are the same to the bit."""
    tolerance = 0.0 if json.loads((folder / "env.json").read_text())["device"] == "cpu" else 1e-3
    found, wanted = (load_file(where / "weights.safetensors") for where in (folder, expected))
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=tolerance, atol=tolerance)


def test_a_training_spreads_over_two_nodes(seen):
    status, output, [job] = seen.on_two
    assert status == 0, output[-3000:]
    assert (job.nodes, job.gpus) == (2, 1)
    folder = run_folder(run_of(seen.plan, "steady"))
    environment = json.loads((seen.spread / folder / "env.json").read_text())
    assert (environment["ranks"], environment["nodes"]) == (2, 2)
    on_two, on_one = (first_epoch(root / folder) for root in (seen.spread, seen.plan.root))
    assert on_two["step"] == on_one["step"]
    assert on_two["loss"] == pytest.approx(on_one["loss"], rel=1e-3)


def test_what_fails_for_good_leaves_the_other_cells_of_its_table(seen):
    root = seen.plan.root
    status, output, jobs = submit(root, "mini_table_1", "--preemptible-retries", "0")
    assert status != 0, output[-3000:]
    assert [job.states[-1] for job in of(jobs, "train")] == ["FAILED"]
    assert not of(jobs, "table")
    now = subprocess.run(
        [sys.executable, "-m", "snakemake", "tables_now"], cwd=root, env=ENVIRONMENT, capture_output=True
    )
    assert now.returncode == 0, now.stderr[-3000:]
    table = (root / "results/small/tables/mini/table-1.md").read_text().splitlines()
    rows = {row: next(line for line in table if line.startswith(f"| {row}")) for row in ("steady", "hasty")}
    assert "**failed**" in rows["hasty"]
    assert any("the loss is nan" in line for line in table)
    assert re.match(r"\| steady +\| \d+\.\d \[.*\] \(50\.0\) \w+ +\|", rows["steady"])
