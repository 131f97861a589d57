"""JSON schemas of the pages, for editors: generated from the types, never edited.

They also know what the reader understands before the types see it: a value with its source, and a
protocol or view that extends another one.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from retrace.files import write_text
from retrace.plan.config import Config
from retrace.plan.datasets import DatasetPage
from retrace.plan.load import ORIGINS, SOURCED
from retrace.plan.page import Paper
from retrace.plan.scale import Scale
from retrace.plan.segmenter import SegmenterPage

FOLDER = Path("workflow/schemas")
KINDS: dict[str, type[BaseModel]] = {
    "paper": Paper,
    "dataset": DatasetPage,
    "segmenter": SegmenterPage,
    "scale": Scale,
    "config": Config,
}

Schema = dict[str, Any]

_EXTENDED = {"protocols": ("TrainingPlan", "Extension"), "views": ("ViewPlan", "ViewExtension")}

_SOURCED: Schema = {
    "additionalProperties": False,
    "description": "A value that the paper does not print: where it comes from, and why it is what it is.",
    "properties": {"value": {}, "source": {"enum": list(ORIGINS)}, "why": {"minLength": 1, "type": "string"}},
    "required": list(SOURCED),
    "type": "object",
}


def texts() -> dict[str, str]:
    """Return the text of every schema by file name."""
    return {
        f"{name}.schema.json": json.dumps(_schema(kind), indent=2, sort_keys=True) + "\n"
        for name, kind in KINDS.items()
    }


def write(root: Path) -> None:
    """Write every schema under `root`."""
    for name, text in texts().items():
        write_text(root / FOLDER / name, text)


def _schema(kind: type[BaseModel]) -> Schema:
    schema = kind.model_json_schema()
    if kind is Config:
        return schema
    defs = schema.setdefault("$defs", {})
    for name, definition in [("", schema), *defs.items()]:
        if name != "Quoted":  # a published number keeps its source, and has this type for it
            _allow_sources(definition)
    defs["Sourced"] = _SOURCED
    if kind is Paper:
        for section, (plan, extension) in _EXTENDED.items():
            defs[extension] = _extension(defs, plan, extension)
            plans = schema["properties"][section]["patternProperties"]
            for pattern, whole in plans.items():
                plans[pattern] = {"anyOf": [whole, {"$ref": f"#/$defs/{extension}"}]}
    return schema


def _allow_sources(schema: Schema) -> None:
    """Let every value below `schema` stand with its source; names that fit no pattern are mistakes."""
    for keyword in ("properties", "patternProperties"):
        for key, value in schema.get(keyword, {}).items():
            if key != "published":
                schema[keyword][key] = _or_sourced(value)
    if "patternProperties" in schema:
        schema["additionalProperties"] = False
    elif isinstance(schema.get("additionalProperties"), dict):
        schema["additionalProperties"] = _or_sourced(schema["additionalProperties"])


def _or_sourced(schema: Schema) -> Schema:
    if schema.get("type") == "object":
        _allow_sources(schema)
        return schema
    return {"anyOf": [schema, {"$ref": "#/$defs/Sourced"}]}


def _extension(defs: Schema, plan: str, title: str) -> Schema:
    """Return the schema of a protocol or view that says what it extends, and then only what differs."""
    schema = _partial(defs[plan], defs)
    schema["properties"]["extends"] = {"type": "string"}
    return schema | {"required": ["extends"], "title": title}


def _partial(schema: Schema, defs: Schema) -> Schema:
    """Return `schema` with nothing required, however deep, and null to take a key away."""
    name = schema.get("$ref", "").rpartition("/")[2]
    if name and name != "Sourced":
        schema = defs[name]
    loose = {key: value for key, value in schema.items() if key not in ("required", "oneOf", "discriminator")}
    if "properties" in schema:
        properties = {key: _partial(value, defs) for key, value in schema["properties"].items()}
        loose["properties"] = {key: {"anyOf": [value, {"type": "null"}]} for key, value in properties.items()}
    if members := schema.get("anyOf", schema.get("oneOf")):
        loose["anyOf"] = [_partial(member, defs) for member in members]
        known = {key for member in loose["anyOf"] for key in member.get("properties", {})}
        for member in loose["anyOf"]:  # a null also takes away what another kind had
            if "properties" in member:
                member["properties"] = {key: {"type": "null"} for key in known} | member["properties"]
    return loose
