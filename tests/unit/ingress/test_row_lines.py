"""Rows that say on which line of which file they stand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from destination.event import encode
from destination.ingress.format import Inbound
from destination.ingress.rows import parse_rows


def ids(target: str, *rows: dict[str, Any], run: str = "file-1", minute: int = 0) -> list[str]:
    """The messageIds of rows of a run, posted at some minute."""
    at = datetime(2026, 1, 31, 12, minute, tzinfo=UTC)
    parsed = parse_rows(Inbound("rows", encode(list(rows)), at, query={"run": run}), target)
    assert all("_file_line" not in event.body["properties"] for event in parsed.events)
    return [event.id for event in parsed.events]


ANN = {"email": "ann@acme.io"}


@pytest.mark.parametrize("target", ["profile", "list/XyZ123", "event", "order"])
def test_equal_rows_on_two_lines_of_a_file_are_two(target: str) -> None:
    """And each is itself again when it is sent again."""
    first = ids(target, {**ANN, "_file_line": 2}, {**ANN, "_file_line": 3})
    assert len(set(first)) == 2
    assert ids(target, {**ANN, "_file_line": 2}, {**ANN, "_file_line": 3}, minute=9) == first
    assert not set(ids(target, {**ANN, "_file_line": 2}, run="file-2")) & set(first)


def test_without_a_line_equal_events_are_one() -> None:
    """As tools send them, whatever the run."""
    assert len(set(ids("event", ANN, ANN) + ids("event", ANN, run="file-2"))) == 1
