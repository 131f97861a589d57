"""The rules from a user's videos to stored frames: how many jobs there are, and what is done anew."""

import shutil
from pathlib import Path

import pytest

from pages import ROOT, copy_pages, edit
from retrace.plan.layout import collection_folder
from retrace.plan.library import Library
from store import write_page, write_videos
from test_workflow import jobs, snakemake


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """A repository whose user has the small dataset, and has prepared it."""
    root = copy_pages(tmp_path_factory.mktemp("root") / "repository")
    for folder in ("workflow", "envs"):
        shutil.copytree(ROOT / folder, root / folder)
    edit(root, "config.yaml", "scale: demo", "scale: tiny")
    edit(root, "config.yaml", "data: {}", f"data: {{tiny: {write_videos(root / 'disk')}}}")
    write_page(root)
    snakemake(root, "tiny_data")
    return root


def folder(root: Path) -> Path:
    return root / collection_folder(Library(root).collection("tiny"))


def test_what_is_prepared_is_not_prepared_again(done):
    assert {path.name for path in folder(done).iterdir()} == {
        "manifest.parquet",
        "annotations.json",
        "shards",
        "videos.parquet",
        "audit.json",
        "contact-sheet.png",
    }
    assert jobs(snakemake(done, "tiny_data", "-n")) == {}


def test_another_place_of_the_videos_makes_nothing_anew(done):
    moved = ("--config", 'data={"tiny": "/elsewhere"}', "max_missing=0.5")
    assert jobs(snakemake(done, "tiny_data", "-n", *moved)) == {}


def test_a_lost_shard_is_one_job_and_finished_videos_stay(done):
    before = {path: path.stat().st_mtime_ns for path in done.glob("results/data/tiny/frames-*/*/*.mp4")}
    shard = folder(done) / "shards/0001.parquet"
    shard.unlink()
    assert jobs(snakemake(done, str(shard.relative_to(done)))) == {"extract": 1}
    assert jobs(snakemake(done, "tiny_data")) == {}  # the same bytes again: nothing that rests on them moves
    after = {path: path.stat().st_mtime_ns for path in done.glob("results/data/tiny/frames-*/*/*.mp4")}
    assert after == before and len(after) == 12


@pytest.mark.parametrize(("dataset", "shards"), [("kinetics_400", 256), ("moments_in_time", 256)])
def test_the_jobs_are_as_many_as_the_shards_whatever_the_number_of_videos(done, dataset, shards):
    planned = jobs(snakemake(done, f"{dataset}_data", "-n"))
    assert planned == {"manifest": 1, "extract": shards, "audit": 1, f"{dataset}_data": 1}


def test_a_mini_set_needs_the_manifest_of_its_whole_and_not_its_frames(done):
    planned = jobs(snakemake(done, "mini_kinetics_data", "-n"))
    assert planned == {"manifest": 1, "subsample": 1, "extract": 128, "audit": 1, "mini_kinetics_data": 1}
