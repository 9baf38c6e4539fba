"""The operations of the API: their paths, limits, scopes, parameters and request schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from destination.sandbox.limits import WINDOWS, Quota
from destination.sandbox.schema import Check, Schemas


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as the description states it; ``query`` maps parameter names to their rule."""

    id: str
    method: str
    path: str
    pattern: re.Pattern[str]
    ok: int
    quotas: tuple[Quota, ...]
    steady: Quota
    scopes: tuple[str, ...]
    query: Mapping[str, Any]
    body: Check | None


# Parameters whose values are dear: they have counters of their own, shared by all endpoints.
# (docs: Rate limits, status codes, and errors, "query parameters")
DEAR: Mapping[tuple[str, str], tuple[int, int]] = {
    ("additional-fields[profile]", "predictive_analytics"): (10, 150),
    ("additional-fields[list]", "profile_count"): (1, 15),
    ("additional-fields[segment]", "profile_count"): (1, 15),
    ("include", "lists"): (1, 15),
    ("include", "segments"): (1, 15),
}


def dear_quotas(operation: Operation, query: Mapping[str, str]) -> list[Quota]:
    """The further quotas that a request's parameters draw on."""
    quotas = []
    for (name, value), (burst, steady) in DEAR.items():
        if name == "include" and operation.id != "get_profile":
            continue
        if value in query.get(name, "").split(","):
            counter = f"{name}={value}"
            quotas += [Quota(counter, 1, burst), Quota(counter, 60, steady)]
    return quotas


class Operations:
    """All operations; finds the one that a method and path mean."""

    def __init__(self, description: Mapping[str, Any]) -> None:
        schemas = Schemas(description["objects"])
        self.revision: str = description["revision"]
        self.all = [_operation(raw, schemas) for raw in description["operations"]]
        self._plain: dict[str, dict[str, Operation]] = {}
        self._patterns: list[Operation] = []
        for operation in self.all:
            if "{" in operation.path:
                self._patterns.append(operation)
            else:
                self._plain.setdefault(operation.path, {})[operation.method] = operation

    def find(self, method: str, path: str) -> tuple[Operation | None, dict[str, str], list[str]]:
        """``(operation, path parameters, methods)``; without an operation the path's methods.

        A trailing slash makes no difference.
        """
        path = path.removesuffix("/")
        plain = self._plain.get(path)
        if plain is not None:
            return plain.get(method), {}, sorted(plain)
        methods = []
        for operation in self._patterns:
            match = operation.pattern.fullmatch(path)
            if match and operation.method == method:
                return operation, match.groupdict(), []
            if match:
                methods.append(operation.method)
        return None, {}, sorted(methods)


@cache
def load() -> Operations:
    """The operations of the description that travels with this package."""
    text = files("destination.sandbox").joinpath("description.json").read_text()
    return Operations(json.loads(text))


def _operation(raw: Mapping[str, Any], schemas: Schemas) -> Operation:
    quotas = tuple(Quota(raw["id"], WINDOWS[name], raw[name]) for name in WINDOWS if name in raw)
    # Both names of the path parameter mean the same to a handler.
    pattern = re.sub(r"\{\w+\}", "(?P<id>[^/]+)", raw["path"])
    return Operation(
        id=raw["id"],
        method=raw["method"],
        path=raw["path"],
        pattern=re.compile(pattern),
        ok=raw["ok"][0],
        quotas=quotas,
        steady=next(quota for quota in quotas if quota.seconds == 60),
        scopes=tuple(raw["scopes"]),
        query=raw["query"],
        body=schemas.compile(raw["body"]) if "body" in raw else None,
    )
