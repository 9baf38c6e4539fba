"""Whose an event is: what keeps its order."""

from __future__ import annotations

from typing import Any

import pytest

from destination.event import person


@pytest.mark.parametrize(
    ("body", "whose"),
    [
        ({"userId": "u", "anonymousId": "a", "messageId": "m"}, "u"),
        ({"anonymousId": "a", "traits": {"email": "x@acme.io"}}, "a"),
        ({"traits": {"email": "Ann@Acme.io"}, "__segment_id": "7"}, "ann@acme.io"),
        ({"context": {"traits": {"email": "Ann@Acme.io"}}, "messageId": "m"}, "ann@acme.io"),
        ({"__segment_id": "Ann@Acme.io", "messageId": "m"}, "ann@acme.io"),
        ({"context": {"traits": None}, "messageId": "m"}, "m"),
        ({}, ""),
    ],
)
def test_an_event_belongs_to_the_first_that_names_somebody(
    body: dict[str, Any], whose: str
) -> None:
    """Rows of a warehouse have a key, so that a row and its removal stay in order."""
    assert person(body) == whose
