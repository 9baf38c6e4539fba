"""The table of Klaviyo's limits."""

from __future__ import annotations

import pytest

from destination.action import Window
from destination.klaviyo.limits import BULK, UNKNOWN, windows


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("create_profile", (Window(75, 1), Window(750, 60))),
        ("create_event", (Window(350, 1), Window(3500, 60))),
        ("bulk_create_events", (Window(10, 1), Window(150, 60))),
        ("get_accounts", (Window(1, 1), Window(15, 60))),
        ("create_list", (Window(10, 1), Window(150, 60), Window(150, 86400))),
        ("query_campaign_values", (Window(1, 1), Window(2, 60), Window(225, 86400))),
    ],
)
def test_an_operation_has_the_windows_that_klaviyo_states(
    operation: str, expected: tuple[Window, ...]
) -> None:
    """Burst is a second, steady a minute, and a few have a day."""
    assert windows(operation) == expected


def test_an_operation_that_is_not_listed_gets_the_smallest_size() -> None:
    """A new endpoint is approached with care, not without a limit."""
    assert windows("no_such_operation") == UNKNOWN


def test_every_bulk_request_is_rate_limited_and_stays_under_five_megabytes() -> None:
    """The two tables speak of the same operations."""
    for operation, bulk in BULK.items():
        assert windows(operation) != UNKNOWN
        assert bulk.row_bytes <= bulk.bytes < 5_000_000
