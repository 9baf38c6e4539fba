"""The JSON Schema of mapping files agrees with what is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from destination.mapping.schema import mapping_schema
from destination.registry import DESTINATIONS

VALIDATOR = jsonschema_rs.validator_for(mapping_schema(DESTINATIONS["klaviyo"].actions))
PRESETS = sorted((Path(__file__).parents[3] / "mappings").glob("*.json"))


def document(**changes: Any) -> dict[str, Any]:
    """A file of one mapping."""
    mapping = {
        "name": "m",
        "action": "upsertProfile",
        "trigger": 'type = "identify"',
        "fields": {"email": {"@path": "$.traits.email"}, "location": {"city": "Leeds"}},
        **changes,
    }
    return {"name": "f", "mappings": [mapping]}


def test_schema_is_a_schema() -> None:
    """By its own standard."""
    schema = mapping_schema(DESTINATIONS["klaviyo"].actions)
    jsonschema_rs.meta.validate(schema)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.name)
def test_presets_are_valid(preset: Path) -> None:
    """What we ship passes in an editor."""
    errors = VALIDATOR.iter_errors(json.loads(preset.read_bytes()))
    assert [str(error) for error in errors] == []


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"batch": {"enabled": False}},
        {"fields": {"@transform": {"apply": {}, "mapping": {}}}},
        {"fields": {"email": {"@path": "x", "_metadata": {"note": 1}}, "batch_size": 5}},
        {"fields": {"location": {"@path": "$.address"}, "properties": {"a": [{"@path": "b"}]}}},
    ],
)
def test_right_is_valid(changes: dict[str, Any]) -> None:
    """Directives wherever a value may stand."""
    assert VALIDATOR.is_valid(document(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "nope"},
        {"nmae": "x"},
        {"fields": {"emial": "x"}},
        {"fields": {"email": {"@paht": "x"}}},
        {"fields": {"location": {"town": "x"}}},
        {"batch": {"size": 0}},
        {"examples": [{"name": "x", "event": {}}]},
        {"examples": [{"name": "x", "event": {}, "refused": "no such reason"}]},
        {"action": "trackEvent", "fields": {"metric_name": "x"}},
    ],
)
def test_wrong_is_invalid(changes: dict[str, Any]) -> None:
    """So that an editor underlines it."""
    assert not VALIDATOR.is_valid(document(**changes))
