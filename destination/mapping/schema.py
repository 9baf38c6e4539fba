"""The JSON Schema of mapping files, for editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from destination.action import Action
from destination.catalogue import CATALOGUE
from destination.fields import Field
from destination.mapping.directive import METADATA
from destination.mapping.directives import DIRECTIVES
from destination.mapping.field_check import SEGMENT_ONLY
from destination.mapping.file_check import MAX_WAIT

Schema = dict[str, Any]

_VALUE: Schema = {"$ref": "#/$defs/value"}


def mapping_schema(actions: Mapping[str, Action]) -> Schema:
    """The schema (draft 2020-12) of a mapping file for these ``actions``, by name.

    It helps while writing: names, descriptions, kinds. What ``read_mapping_file`` finds beyond it
    (triggers, options of directives, names that occur twice) no schema can say.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Mapping file",
        "type": "object",
        "required": ["name", "mappings"],
        "additionalProperties": False,
        "properties": {
            "$schema": {"type": "string"},
            "name": {"$ref": "#/$defs/name"},
            "description": {"type": "string"},
            "mappings": {"type": "array", "items": {"$ref": "#/$defs/mapping"}},
        },
        "$defs": {
            "name": {"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[^/]+$"},
            "mapping": _mapping(actions),
            "batch": _BATCH,
            "example": _example(),
            "value": _value(),
            "directive": _directive(),
        },
    }


def _mapping(actions: Mapping[str, Action]) -> Schema:
    return {
        "type": "object",
        "required": ["name", "action", "trigger", "fields"],
        "additionalProperties": False,
        "properties": {
            "name": {"$ref": "#/$defs/name"},
            "description": {"type": "string"},
            "action": {
                "oneOf": [
                    {"const": action.name, "title": action.title, "description": action.description}
                    for action in actions.values()
                ]
            },
            "trigger": {
                "type": "string",
                "description": "Which events the mapping wants, in FQL.",
                "examples": sorted({action.trigger for action in actions.values()}),
            },
            "enabled": {"type": "boolean", "default": True},
            "fields": {"type": "object"},
            "batch": {"$ref": "#/$defs/batch"},
            "examples": {"type": "array", "items": {"$ref": "#/$defs/example"}},
        },
        "allOf": [
            {
                "if": {"properties": {"action": {"const": action.name}}, "required": ["action"]},
                "then": {"properties": {"fields": _fields(action)}},
            }
            for action in actions.values()
        ],
    }


def _fields(action: Action) -> Schema:
    """The fields of an action, or a directive that makes them all."""
    named = _members(action.fields)
    named["properties"].update(dict.fromkeys(sorted(SEGMENT_ONLY), True))
    named["patternProperties"] = {"^__segment_internal_": True}
    return {"if": {"$ref": "#/$defs/directive"}, "else": named}


def _members(fields: tuple[Field, ...], *, additional: bool = False) -> Schema:
    return {
        "type": "object",
        "required": [field.name for field in fields if field.required],
        "properties": {field.name: _field(field) for field in fields},
        "additionalProperties": _VALUE if additional else False,
    }


def _field(field: Field) -> Schema:
    said: Schema = {"description": field.description} if field.description else {}
    if field.properties and not field.multiple:
        members = _members(field.properties, additional=field.additional)
        ordinary = {"type": "object", "not": {"$ref": "#/$defs/directive"}}
        return {**said, **_VALUE, "if": ordinary, "then": members}
    if field.choices and not field.multiple:
        choices = {"type": "string", "enum": list(field.choices)}
        return {**said, "anyOf": [choices, {"$ref": "#/$defs/directive"}]}
    return {**said, **_VALUE}


_BATCH: Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "enabled": {
            "type": "boolean",
            "default": True,
            "description": "false sends one by one through the single-record endpoint",
        },
        "size": {"type": ["integer", "null"], "minimum": 1, "description": "rows of one request"},
        "wait_seconds": {
            "type": "number",
            "minimum": 0,
            "maximum": MAX_WAIT,
            "description": "how long a row may wait for others",
        },
        "skip_unchanged": {
            "type": "boolean",
            "default": False,
            "description": "do not send what the person's last delivery by this mapping said already",
        },
    },
}


def _example() -> Schema:
    request = {
        "type": "object",
        "required": ["method", "path"],
        "additionalProperties": False,
        "properties": {
            "method": {"type": "string"},
            "path": {"type": "string"},
            "query": {"type": "object"},
            "json": True,
        },
    }
    claims = ("payload", "requests", "skipped", "refused")
    return {
        "type": "object",
        "required": ["name", "event"],
        "anyOf": [{"required": [claim]} for claim in claims],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string"},
            "event": {"type": "object"},
            "payload": {"type": "object", "description": "what the action must get"},
            "requests": {"type": "array", "items": request},
            "skipped": {"type": "boolean", "description": "the trigger does not want the event"},
            "refused": {
                "description": "the reason for which the event is discarded",
                "enum": sorted(CATALOGUE),
            },
        },
    }


def _value() -> Schema:
    ordinary = {"type": "object", "additionalProperties": _VALUE, "propertyNames": _NOT_AT}
    return {
        "anyOf": [
            {"$ref": "#/$defs/directive"},
            {"type": ["string", "number", "boolean", "null"]},
            {"type": "array", "items": _VALUE},
            ordinary,
        ]
    }


_NOT_AT: Schema = {"pattern": "^(?!@)"}


def _directive() -> Schema:
    return {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 2,
        "additionalProperties": False,
        "anyOf": [{"required": [name]} for name in DIRECTIVES],
        "properties": {
            **{
                directive.name: {"description": directive.description}
                for directive in DIRECTIVES.values()
            },
            METADATA: True,
        },
    }
