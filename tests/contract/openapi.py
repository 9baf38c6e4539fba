"""Checks requests and answers against Klaviyo's OpenAPI description, stricter than the description.

The converter turns OpenAPI 3.0 schemas into JSON Schema: request objects are closed (the live API
refuses unknown keys, though the description never says so), ``oneOf`` is read as ``anyOf`` (the
description uses it for "one of, or both"), and null is allowed beside a ``$ref``. Answers get two
tolerances: ``links.next`` and ``links.prev`` may be null, and so may ``data`` of a to-one relation.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs

DESCRIPTION = Path(
    os.environ.get("DESTINATION_OPENAPI")
    or Path(__file__).parents[3] / "shared" / "data" / "klaviyo-openapi.json"
)
NOTES = {"example", "default", "description", "readOnly", "title", "nullable", "$ref", "oneOf"}
ERRORS = {
    "type": "object",
    "required": ["errors"],
    "properties": {
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["id", "status", "code", "title", "detail"],
                "properties": {
                    "id": {"type": "string"},
                    "status": {"type": "integer"},
                    "code": {"type": "string"},
                    "title": {"type": "string"},
                    "detail": {"type": "string"},
                    "source": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {
                            "pointer": {"type": "string"},
                            "parameter": {"type": "string"},
                        },
                    },
                },
            },
        }
    },
}


@dataclass(frozen=True, slots=True)
class _Operation:
    path: re.Pattern[str]
    query: frozenset[str]
    request: jsonschema_rs.Draft202012Validator | None
    responses: Mapping[int, jsonschema_rs.Draft202012Validator | None]


class Contract:
    """Klaviyo's description as two questions: is this request allowed, is this answer possible."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._operations: dict[str, list[_Operation]] = {}
        self._errors = jsonschema_rs.Draft202012Validator(ERRORS)
        schemas = document["components"]["schemas"]
        self._request_defs = {k: _convert(v, closed=True) for k, v in schemas.items()}
        self._response_defs = {k: _convert(v, closed=False) for k, v in schemas.items()}
        for path, item in document["paths"].items():
            for method in ("get", "post", "patch", "delete"):
                if method in item:
                    found = self._operation(path, item[method])
                    self._operations.setdefault(method.upper(), []).append(found)

    @classmethod
    def load(cls, path: Path = DESCRIPTION) -> Contract:
        """The contract of the description in the file ``path``; raises ``FileNotFoundError``."""
        return cls(json.loads(path.read_text()))

    def check_request(self, method: str, path: str, query: Iterable[str], body: Any) -> list[str]:
        """What is wrong with a request; ``[]`` when nothing. ``query`` holds parameter names."""
        operation = self._find(method, path)
        if operation is None:
            return [f"{method} {path}: no such operation"]
        problems = [
            f"unknown query parameter {name}" for name in query if name not in operation.query
        ]
        if operation.request is None:
            return problems + ([] if body is None else ["a body where none is described"])
        return problems + _problems(operation.request, body)

    def check_response(self, method: str, path: str, status: int, body: Any) -> list[str]:
        """What is wrong with an answer; ``[]`` when nothing. ``body`` is None when it was empty."""
        if status >= 400:
            return _problems(self._errors, body)
        operation = self._find(method, path)
        if operation is None:
            return [f"{method} {path}: no such operation"]
        if status not in operation.responses:
            return [f"{method} {path}: status {status} is not described"]
        schema = operation.responses[status]
        if schema is None:
            return [] if body is None else ["a body where none is described"]
        return _problems(schema, body)

    def _operation(self, path: str, raw: Mapping[str, Any]) -> _Operation:
        query = {p["name"] for p in raw.get("parameters", []) if p["in"] == "query"}
        return _Operation(
            path=re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) + "/?"),
            query=frozenset(query),
            request=self._validator(raw.get("requestBody"), closed=True),
            responses={
                int(code): self._validator(answer, closed=False)
                for code, answer in raw["responses"].items()
                if code.isdigit()
            },
        )

    def _validator(
        self, holder: Mapping[str, Any] | None, *, closed: bool
    ) -> jsonschema_rs.Draft202012Validator | None:
        if not holder or not holder.get("content"):
            return None
        (content,) = holder["content"].values()
        schema = _convert(content["schema"], closed=closed)
        defs = self._request_defs if closed else self._response_defs
        needed = {name: defs[name] for name in _reachable(schema, defs)}
        whole = {**schema, "$defs": needed}
        return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)

    def _find(self, method: str, path: str) -> _Operation | None:
        for operation in self._operations.get(method.upper(), []):
            if operation.path.fullmatch(path):
                return operation
        return None


def assert_requests_valid(contract: Contract, requests: Iterable[Mapping[str, Any]]) -> None:
    """Fail with every fault in the requests of a sandbox ledger (``GET /sandbox/requests``)."""
    faults = [
        f"#{request['seq']} {request['method']} {request['path']}: {problem}"
        for request in requests
        if request["path"].startswith("/api/")
        for problem in contract.check_request(
            request["method"], request["path"], request.get("query", {}), request.get("body")
        )
    ]
    assert not faults, "\n".join(faults)


def _problems(schema: jsonschema_rs.Draft202012Validator, body: Any) -> list[str]:
    return [
        f"/{'/'.join(str(step) for step in error.instance_path)}: {error.message[:300]}"
        for error in schema.iter_errors(body)
    ]


def _convert(schema: Any, *, closed: bool) -> Any:
    if not isinstance(schema, dict):
        return schema
    null = bool(schema.get("nullable"))
    if "$ref" in schema:
        target = {"$ref": "#/$defs/" + schema["$ref"].rsplit("/", 1)[-1]}
        return {"anyOf": [target, {"type": "null"}]} if null else target
    result = {key: value for key, value in schema.items() if key not in NOTES and key[:2] != "x-"}
    for choice in ("oneOf", "anyOf"):
        if choice in schema:
            result["anyOf"] = [_convert(each, closed=closed) for each in schema[choice]]
            result["anyOf"] += [{"type": "null"}] if null else []
    if "allOf" in schema:
        result["allOf"] = [_convert(each, closed=False) for each in schema["allOf"]]
    if "items" in schema:
        result["items"] = _convert(schema["items"], closed=closed)
    if null and "type" in result:
        result["type"] = [result["type"], "null"]
        if "enum" in result:
            result["enum"] = [*result["enum"], None]
    if "properties" in schema:
        result["properties"] = {
            name: _property(name, each, closed=closed)
            for name, each in schema["properties"].items()
        }
        if closed:
            result["additionalProperties"] = False
    return result


def _property(name: str, schema: dict[str, Any], *, closed: bool) -> Any:
    converted = _convert(schema, closed=closed)
    to_one = name == "data" and set(schema.get("properties", ())) == {"type", "id"}
    if not closed and (name in {"next", "prev"} or to_one):
        return {"anyOf": [converted, {"type": "null"}]}
    return converted


def _reachable(schema: Any, defs: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            name = str(node.get("$ref", "")).removeprefix("#/$defs/")
            if name in defs and name not in found:
                found.add(name)
                waiting.append(defs[name])
            waiting.extend(value for key, value in node.items() if key != "$ref")
    return found
