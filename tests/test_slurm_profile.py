"""The profile for SLURM against the rules it tells of, and what it makes of them."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from pages import ROOT, copy_pages
from retrace.errors import UserError
from retrace.submissions import PROFILE, submissions

PAGE = yaml.safe_load((ROOT / PROFILE / "config.yaml").read_text(encoding="utf-8"))
RULES = {
    name: body
    for path in (ROOT / "workflow").rglob("*.smk")
    for name, body in re.findall(r"^rule (\w+):\n((?:(?:    .*)?\n)+)", path.read_text(), flags=re.MULTILINE)
}
ATTEMPTS = range(1, 2 + PAGE["preemptible-retries"])


def wanted(rule: str, resource: str, attempt: int):
    """Return what the profile asks for, evaluated as Snakemake does."""
    value = PAGE["set-resources"].get(rule, {}).get(resource, PAGE["default-resources"].get(resource))
    return eval(value, {"attempt": attempt, "min": min}) if isinstance(value, str) else value


def test_it_names_only_rules_that_there_are():
    groups = dict(entry.split("=") for entry in PAGE["groups"])
    assert len(RULES) > 15
    assert RULES.keys() >= {*PAGE["set-resources"], *groups, *PAGE["preemptible-rules"]}


def test_every_group_that_is_bounded_is_a_group_of_rules():
    of_profile = {entry.split("=")[1] for entry in PAGE["groups"]}
    of_rules = set(re.findall(r'"(costs-\{paper\})"', RULES["cost"]))
    assert {entry.rsplit("=")[0] for entry in PAGE["group-components"]} <= of_profile | of_rules


def test_the_rules_with_a_gpu_are_those_on_the_gpu_partition():
    with_gpu = {name for name, body in RULES.items() if re.search(r"^ +gpu=", body, flags=re.MULTILINE)}
    on_partition = {
        name for name, set_ in PAGE["set-resources"].items() if set_.get("slurm_partition") == "gpu"
    }
    expected = {"train", "segmenter", "segment", "score", "score_imported", "maps", "speed"}
    assert with_gpu == on_partition == expected
    assert all(PAGE["set-resources"][name]["gpu"] == 1 for name in with_gpu)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_what_failed_gets_more_memory_and_only_a_training_no_more_time(rule):
    assert wanted(rule, "mem_mb", 2) > wanted(rule, "mem_mb", 1)
    if rule in PAGE["preemptible-rules"]:
        assert {wanted(rule, "runtime", attempt) for attempt in ATTEMPTS} == {1440}
        assert wanted(rule, "mem_mb", ATTEMPTS[-1]) == wanted(rule, "mem_mb", 3)
    else:
        assert wanted(rule, "runtime", 2) > wanted(rule, "runtime", 1)


def test_a_training_is_replaced_by_what_gets_the_signals():
    """A shell in between dies of SIGTERM, and SLURM kills what it leaves behind before that has saved."""
    for rule in PAGE["preemptible-rules"]:
        assert re.search(rf'shell:\n +f"exec python -m retrace {rule} ', RULES[rule])


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    root = copy_pages(tmp_path / "root")
    for folder in ("workflow", "envs"):
        shutil.copytree(ROOT / folder, root / folder)
    monkeypatch.chdir(root)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    return root


def lines(text: str) -> dict[str, tuple[int, int]]:
    found = re.findall(r"^([\w{}-]+(?: [\w-]+)?) +(\d+) +(\d+)$", text, flags=re.MULTILINE)
    return {name: (int(submitted), int(jobs)) for name, submitted, jobs in found}


def test_shards_of_a_dataset_share_a_few_submissions(root):
    counted = lines(submissions(["kinetics_400_data"], "paper"))
    assert counted == {
        "audit": (1, 1),
        "group manifests": (1, 1),
        "group shards-kinetics-400": (16, 256),
    }


def test_every_job_is_counted_once_and_what_trains_nothing_is_one_submission(root):
    text = submissions([], "tiny")
    counted = lines(text)
    assert counted["train"] == counted["score"] == (2, 2)
    assert counted["group clips"] == (1, 5)
    assert counted["group costs-rac"][0] == 1 < counted["group costs-rac"][1]
    total = [sum(column) for column in zip(*counted.values(), strict=True)]
    assert text.endswith(f"{total[0]} submissions for {total[1]} jobs, at scale tiny under {PROFILE}")


@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_the_documentation_tells_how_many_jobs_a_scale_is(root, scale):
    for pages in ("papers", "scales"):
        shutil.copytree(ROOT / pages, root / pages, dirs_exist_ok=True)
    text = " ".join((ROOT / "docs/run-on-a-cluster.md").read_text(encoding="utf-8").split())
    found = re.search(r"([\d,]+) submissions for ([\d,]+) jobs", submissions([], scale))
    where = {"demo": "the whole demonstration", "paper": "full size"}[scale]
    assert f"| {where} | {found[1]} | {found[2]} |" in re.sub(" +", " ", text)


def test_an_unknown_target_is_refused_with_the_words_of_snakemake(root):
    with pytest.raises(
        UserError, match=r"^snakemake refuses: MissingRuleException:\nNo rule .* rac_table_88"
    ):
        submissions(["rac_table_88"], "tiny")
