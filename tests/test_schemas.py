"""The JSON schemas that editors use: in step with the types, and no stricter than the program."""

import copy
import json

import jsonschema
import pytest
import yaml

from pages import RAC, ROOT
from retrace.plan import schemas

FOLDERS = {"paper": "papers", "dataset": "datasets", "segmenter": "segmenters", "scale": "scales"}
PAGES = [(kind, page) for kind, folder in FOLDERS.items() for page in sorted((ROOT / folder).glob("*.yaml"))]
PAGES.append(("config", ROOT / "config.yaml"))


def mistakes(kind: str, page: object) -> list[str]:
    schema = json.loads((ROOT / schemas.FOLDER / f"{kind}.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(page)]


def test_the_schemas_are_those_of_the_types():
    written = {path.name: path.read_text() for path in (ROOT / schemas.FOLDER).glob("*.json")}
    assert written == schemas.texts(), "workflow/schemas/ is out of step with the types: run `make schemas`"


@pytest.mark.parametrize(("kind", "page"), PAGES, ids=lambda value: getattr(value, "stem", value))
def test_every_page_is_valid(kind, page):
    assert mistakes(kind, yaml.safe_load(page.read_text(encoding="utf-8"))) == []


@pytest.fixture(scope="module")
def rac() -> dict:
    return yaml.safe_load((ROOT / RAC).read_text(encoding="utf-8"))


def spoil(page: dict, *path: str, value: object) -> dict:
    """Return a copy of `page` with `value` at `path`."""
    spoilt = copy.deepcopy(page)
    inner = spoilt
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return spoilt


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("yaer",), 2023),
        (("year",), "soon"),
        (("views", "../x"), {"order": "forward", "domains": {}}),
        (("protocols", "temporal_shape", "train", "batch"), -1),
        (("protocols", "temporal_shape", "train", "batch"), {"value": 1, "source": "guess", "why": "so"}),
        (("protocols", "temporal_shape", "train", "batch"), {"value": 1, "source": "code"}),
        (("protocols", "temporal_shape_attention", "train", "bach"), 1),
        (("protocols", "temporal_shape_attention", "train"), {"batch": 0}),
    ],
    ids=str,
)
def test_mistakes_are_seen_in_the_editor(rac, path, value):
    assert mistakes("paper", spoil(rac, *path, value=value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("year",), {"value": 2023, "source": "derived", "why": "the conference took place then"}),
        (("protocols", "temporal_shape_attention", "train"), {"optimizer": {"lr": 0.1, "momentum": None}}),
        (("protocols", "more"), {"extends": "temporal_shape", "seeds": [1]}),
    ],
    ids=str,
)
def test_values_with_a_source_and_extensions_are_allowed(rac, path, value):
    assert mistakes("paper", spoil(rac, *path, value=value)) == []
