"""Payload fields: cleaning, conversion and checks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from destination.fields import Field, PayloadError, compile_fields

KINDS = {"choice": "enum", "range": "range"}


def fields_of(form: dict[str, dict[str, Any]]) -> tuple[Field, ...]:
    """Field records from Segment's form of them."""
    return tuple(field_of(name, entry) for name, entry in form.items())


def field_of(name: str, entry: dict[str, Any]) -> Field:
    """One field record from Segment's form."""
    choices = [c["value"] if isinstance(c, dict) else c for c in entry.get("choices", ())]
    return Field(
        name=name,
        type=entry["type"],
        description=entry.get("description", ""),
        required=entry.get("required") is True,
        format=entry.get("format", ""),
        minimum=entry.get("minimum"),
        maximum=entry.get("maximum"),
        choices=tuple(choices),
        multiple=entry.get("multiple", False),
        properties=fields_of(entry.get("properties") or {}),
        additional=entry.get("additionalProperties", False),
        null=entry.get("allowNull", False),
    )


def pointer(path: str) -> str:
    """A path of ours as JSON pointer."""
    return "/" + path.replace("[", "/").replace("]", "").replace(".", "/")


def outcome(case: dict[str, Any]) -> tuple[Any, set[str]]:
    """The payload that a case gives, and the places of its errors."""
    check = compile_fields(fields_of(case["fields"]), batch=case["mode"] == "batch")
    try:
        return check(case["payload"]), set()
    except PayloadError as error:
        return None, {pointer(problem.path) for problem in error.problems}


def test_every_recorded_case_gives_the_recorded_payload_or_errors(vectors: Path) -> None:
    """Segment's own answers, recorded, are ours as well."""
    cases = json.loads((vectors / "field-validation.json").read_text())
    wrong = []
    for case in cases:
        if {"js-quirk"} & set(case.get("tags", ())):
            continue
        wanted = case.get("result"), {error["pointer"] for error in case.get("errors", ())}
        got = outcome(case)
        if got != wanted:
            wrong.append(f"{case['id']}: {got} instead of {wanted}")
    assert cases
    assert not wrong, "\n".join(wrong)
