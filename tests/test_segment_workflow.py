"""The rules from labelled frames to S1, S2 and T at full size: how many jobs, and what they share."""

import shutil
from pathlib import Path

import pytest
import yaml

from pages import ROOT, copy_pages
from test_workflow import jobs, snakemake

DOMAINS = ("diving48_s1_data", "diving48_s2_data", "diving48_t_data")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A repository of somebody who has nothing yet."""
    root = copy_pages(tmp_path_factory.mktemp("root") / "repository")
    for folder in ("workflow", "envs"):
        shutil.copytree(ROOT / folder, root / folder)
    return root


def planned(root: Path, *targets: str) -> dict[str, int]:
    found = jobs(snakemake(root, *targets, "-n", "--config", "scale=paper"))
    return {rule: count for rule, count in found.items() if rule not in targets}


def test_the_three_domains_share_a_segmenter_and_its_pass_over_the_test_videos(root):
    one = {"manifest": 2, "extract": 64, "audit": 2, "segmenter": 1, "segment": 32, "compose": 32}
    assert planned(root, DOMAINS[0]) == one
    three = {"manifest": 4, "extract": 128, "audit": 4, "segmenter": 1, "segment": 32, "compose": 96}
    assert planned(root, *DOMAINS) == three


def test_published_videos_need_no_segmenter(root, tmp_path):
    own = tmp_path / "repository"
    shutil.copytree(root, own)
    page = own / "datasets/diving48-s1.yaml"
    content = yaml.safe_load(page.read_text())
    del content["segmented"]
    page.write_text(yaml.safe_dump(content))
    assert planned(own, DOMAINS[0]) == {"manifest": 1, "extract": 32, "audit": 1}
