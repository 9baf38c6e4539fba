"""The sandbox's own schema check and Klaviyo's description agree on what a valid request is."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from destination.sandbox.errors import Problem
from destination.sandbox.operations import Operation, load
from tests.contract.describe import TARGET
from tests.contract.openapi import Contract

OBJECTS = json.loads(TARGET.read_text())["objects"]
BODIES = {
    each["id"]: each["body"]
    for each in json.loads(TARGET.read_text())["operations"]
    if "body" in each
}
OPERATIONS = [operation for operation in load().all if operation.body]
PLAIN = {
    "string": "x",
    "integer": 7,
    "number": 2.5,
    "boolean": True,
    "date": "2026-11-20",
    "date-time": "2026-11-20T10:00:00Z",
    "object": {},
    "any": 1,
}
# Where the sandbox takes any definition, because nothing in it interprets them.
UNREAD: dict[str, Any] = {
    "create_segment": {"condition_groups": []},
    "update_segment": {"condition_groups": []},
    "create_template": None,
    "update_template": None,
}
OTHERS: list[Any] = [None, True, 5, 2.5, "x", "", [], {}, ["x"], {"type": "x"}, [{}]]


def example(node: Any, *, full: bool) -> Any:
    """A valid value of a node of the compact description; ``full`` with all that is optional."""
    if isinstance(node, list):
        return [example(node[0], full=full)]
    if isinstance(node, dict):
        if "fields" in node:
            return fields(node["fields"], full=full)
        return node["enum"][0] if "enum" in node else example(node["either"][0], full=full)
    name = node.removesuffix("?")
    if name.startswith("="):
        return name[1:].split("|")[0]
    return fields(OBJECTS[name[1:]], full=full) if name.startswith("@") else PLAIN[name]


def valid(operation: Operation, *, full: bool) -> Any:
    """A valid body of an operation."""
    body = example(BODIES[operation.id], full=full)
    if operation.id in UNREAD and "definition" in body["data"]["attributes"]:
        body["data"]["attributes"]["definition"] = UNREAD[operation.id]
    return body


def fields(described: dict[str, Any], *, full: bool) -> dict[str, Any]:
    """A valid object."""
    return {
        key.rstrip("!"): example(node, full=full)
        for key, node in described.items()
        if full or key.endswith("!")
    }


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all that is inside a value."""
    found = [path]
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, each in items:
        found += places(each, (*path, key))
    return found


def agree(contract: Contract, operation: Operation, body: Any) -> bool:
    """Whether both say the same of a body; returns what they say, valid or not."""
    problems: list[Problem] = []
    assert operation.body is not None
    operation.body(body, "", operation.id, problems)
    path = operation.path.replace("{id}", "x")
    faults = contract.check_request(operation.method, path, [], body)
    assert bool(problems) == bool(faults), (body, problems, faults)
    return not problems


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
@pytest.mark.parametrize("full", [False, True], ids=["least", "full"])
def test_both_accept_a_valid_body(contract: Contract, operation: Operation, *, full: bool) -> None:
    """With only what is required, and with everything."""
    assert agree(contract, operation, valid(operation, full=full))


@settings(deadline=None)
@given(data=st.data())
def test_both_judge_a_changed_body_alike(contract: Contract, data: st.DataObject) -> None:
    """A key too many, one too few, a value of another type: valid for both or for neither."""
    operation = data.draw(st.sampled_from(OPERATIONS))
    body = copy.deepcopy(valid(operation, full=data.draw(st.booleans())))
    unread = ("data", "attributes", "definition") if operation.id in UNREAD else (None,)
    found = [each for each in places(body) if each and each[: len(unread)] != unread]
    path = data.draw(st.sampled_from(found))
    parent = body
    for step in path[:-1]:
        parent = parent[step]
    change = data.draw(st.sampled_from(["remove", "add", "replace"]))
    if change == "replace":
        parent[path[-1]] = copy.deepcopy(data.draw(st.sampled_from(OTHERS)))
    elif isinstance(parent, list):
        parent.append(copy.deepcopy(data.draw(st.sampled_from(OTHERS))))
    elif change == "remove":
        del parent[path[-1]]
    else:
        parent["surplus"] = 1
    agree(contract, operation, body)
