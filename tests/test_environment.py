"""The locked environment: everything pinned and hashed, one version everywhere, no addresses."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def pinned(name):
    """Return {package: [(version, marker text, number of hashes)]} of a lock file."""
    found = {}
    for block in re.split(r"\n(?=\S)", (ROOT / name).read_text()):
        if block.startswith("#"):
            continue
        requirement = Requirement(block.split("\\")[0])
        version = next(iter(requirement.specifier)).version
        found.setdefault(requirement.name, []).append((version, block.count("--hash=sha256:")))
    return found


LOCK = pinned("requirements.lock")


def direct():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [Requirement(text) for text in project["dependencies"] + project["optional-dependencies"]["dev"]]


def test_everything_in_the_lock_is_pinned_and_hashed():
    assert len(LOCK) > len(direct())
    assert all(hashes > 0 for versions in LOCK.values() for _, hashes in versions)


@pytest.mark.parametrize("requirement", direct(), ids=str)
def test_what_the_project_asks_for_is_what_the_lock_holds(requirement):
    versions = [version for version, _ in LOCK[requirement.name]]
    assert versions
    assert all(requirement.specifier.contains(version) for version in versions)


def test_the_installer_is_the_one_in_the_lock():
    assert pinned("envs/uv.lock.txt") == {"uv": LOCK["uv"]}


ENVIRONMENTS = ("Containerfile", "retrace.yaml", "retrace.post-deploy.sh")


@pytest.mark.parametrize(
    "name", ["requirements.lock", "envs/uv.lock.txt", *(f"envs/{n}" for n in ENVIRONMENTS)]
)
def test_no_address_stands_in_the_environment_files(name):
    assert "://" not in (ROOT / name).read_text()


def test_conda_and_the_container_hold_one_python_and_the_lock_and_nothing_else():
    conda = yaml.safe_load((ROOT / "envs/retrace.yaml").read_text())["dependencies"]
    container = (ROOT / "envs/Containerfile").read_text()
    [python] = re.findall(r"^FROM python:([\d.]+)-slim$", container, flags=re.MULTILINE)
    assert conda == [f"python={python}", "pip"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">={python}"
    for text in (container, (ROOT / "envs/retrace.post-deploy.sh").read_text()):
        installed = re.findall(r"pip install ([^\n\\&]*)", text)
        assert all("--require-hashes" in words for words in installed)
        files = [Path(words.split()[-1]).name for words in installed]
        assert files == ["uv.lock.txt", "requirements.lock"]
