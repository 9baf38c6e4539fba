"""Writes ``destination/sandbox/description.json`` from Klaviyo's OpenAPI description.

The sandbox ships without the description (1 MB); it carries the facts it enforces in a compact form:
per operation the limits, scopes, query parameters and the closed request schema. Run
``python -m tests.contract.describe`` after the API revision changes; a contract test compares.

The compact schema: ``"string"``, ``"integer"``, ``"number"``, ``"boolean"``, ``"date"``,
``"date-time"``, ``"object"`` (free), ``"any"``; ``"=a|b"`` or ``{"enum": [...]}`` an enumeration;
``"@Name"`` an object; ``[node]`` an array; ``{"either": [node, ...]}``; ``{"fields": {...}}`` an
inline object. A trailing
``?`` (or ``"null": true``) admits null, a trailing ``!`` on a key makes it required.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.contract.openapi import DESCRIPTION

TARGET = Path(__file__).parents[2] / "destination" / "sandbox" / "description.json"
METHODS = ("get", "post", "patch", "delete")
LEFT_OUT = ("/api/webhook", "/api/flow-", "/api/segment-values", "/api/segment-series")
# Builders of drag-and-drop mails and of segment conditions: two thirds of all request schemas,
# and nothing here interprets them.
FREE = {"TemplateDefinition", "SegmentDefinition", "CampaignTrackingOptions"}


def describe(document: dict[str, Any]) -> dict[str, Any]:
    """The compact description of ``document``: ``{"operations": [...], "objects": {...}}``."""
    objects: dict[str, Any] = {}
    operations = [
        _operation(method, path, item[method], document["components"]["schemas"], objects)
        for path, item in document["paths"].items()
        if not path.startswith(LEFT_OUT)
        for method in METHODS
        if method in item
    ]
    return {
        "revision": document["info"]["version"],
        "operations": operations,
        "objects": dict(sorted(objects.items())),
    }


def _operation(
    method: str, path: str, raw: dict[str, Any], schemas: dict[str, Any], objects: dict[str, Any]
) -> dict[str, Any]:
    limit = raw["x-klaviyo-ratelimit"]
    operation = {
        "id": raw["operationId"],
        "method": method.upper(),
        "path": path,
        "ok": sorted(int(code) for code in raw["responses"] if code.startswith("2")),
        **{window: int(limit[window].split("/")[0]) for window in limit},
        "scopes": raw["x-klaviyo-scopes"],
        "query": _query(raw),
    }
    if "requestBody" in raw:
        (content,) = raw["requestBody"]["content"].values()
        operation["body"] = _node(content["schema"], schemas, objects)
    return operation


def _query(raw: dict[str, Any]) -> dict[str, Any]:
    query: dict[str, Any] = {}
    for parameter in raw.get("parameters", []):
        name, schema = parameter["name"], parameter["schema"]
        if parameter["in"] != "query":
            continue
        if name == "filter":
            query[name] = {
                field: sorted({name for names in rule["operators"].values() for name in names})
                for field, rule in raw["x-klaviyo-filters"].items()
            }
        elif name == "page[size]":
            query[name] = [schema["default"], schema["minimum"], schema["maximum"]]
        else:
            query[name] = schema.get("items", schema).get("enum")
    return query


def _node(schema: dict[str, Any], schemas: dict[str, Any], objects: dict[str, Any]) -> Any:
    null = "?" if schema.get("nullable") else ""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        target = schemas[name]
        if name in FREE:
            return "object" + null
        if "properties" not in target:
            return _with_null(_node(target, schemas, objects), bool(null))
        if name not in objects:
            objects[name] = {}
            objects[name] = _fields(target, schemas, objects)
        return f"@{name}{null}"
    for choice in ("oneOf", "anyOf"):
        if choice in schema:
            nodes = [_node(each, schemas, objects) for each in schema[choice]]
            unique = [node for index, node in enumerate(nodes) if node not in nodes[:index]]
            node = {"either": unique} if len(unique) > 1 else unique[0]
            return _with_null(node, bool(null))
    if "enum" in schema:
        if all(isinstance(value, str) for value in schema["enum"]):
            return "=" + "|".join(schema["enum"]) + null
        return _with_null({"enum": schema["enum"]}, bool(null))
    if schema.get("type") == "array":
        return _with_null([_node(schema.get("items", {}), schemas, objects)], bool(null))
    if "properties" in schema:
        return _with_null({"fields": _fields(schema, schemas, objects)}, bool(null))
    kind = schema.get("format") if schema.get("format") in {"date", "date-time"} else None
    return (kind or schema.get("type", "any")) + null


def _fields(schema: dict[str, Any], schemas: dict[str, Any], objects: dict[str, Any]) -> Any:
    required = schema.get("required", [])
    return {
        name + ("!" if name in required else ""): _node(each, schemas, objects)
        for name, each in schema["properties"].items()
        if not each.get("readOnly")
    }


def _with_null(node: Any, null: bool) -> Any:
    if not null:
        return node
    if isinstance(node, str):
        return node.rstrip("?") + "?"
    return {"either": [node], "null": True} if isinstance(node, list) else {**node, "null": True}


def main() -> None:
    """Write the file anew."""
    document = json.loads(DESCRIPTION.read_text())
    TARGET.write_text(json.dumps(describe(document), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
