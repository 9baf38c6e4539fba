"""The least time by rate limits: windows of seconds, minutes and days; every action's ways."""

from __future__ import annotations

import json
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.action import Window
from destination.klaviyo import KLAVIYO
from destination.klaviyo.estimate import OBJECTS, WAYS, estimate, files, least_seconds, steady

M = (Window(10, 1), Window(150, 60))
DAILY = (*M, Window(150, 86_400))


@pytest.mark.parametrize(
    ("calls", "limits", "seconds"),
    [
        (0, M, 0),
        (1, M, 0),
        (10, M, 0),
        (11, M, 1),
        (150, M, 14),
        (151, M, 60),
        (1000, M, 6 * 60 + 9),
        (150, DAILY, 14),
        (151, DAILY, 86_400),
        (301, DAILY, 2 * 86_400),
        (4200, (Window(350, 1), Window(3500, 60)), 61),
    ],
)
def test_the_last_call_may_go_then(calls: int, limits: tuple[Window, ...], seconds: float) -> None:
    """Each window is used up as soon as it opens."""
    assert least_seconds(calls, limits) == seconds


def played(calls: int, limits: tuple[Window, ...]) -> float:
    """When the last call goes if each goes as soon as windows aligned with the start allow."""
    used: dict[tuple[int, int], int] = {}
    at = 0
    for _ in range(calls):
        while any(used.get((w.seconds, at // w.seconds), 0) >= w.calls for w in limits):
            at += 1
        for w in limits:
            used[w.seconds, at // w.seconds] = used.get((w.seconds, at // w.seconds), 0) + 1
    return at


@given(st.integers(1, 400), st.integers(1, 9), st.integers(1, 60))
def test_the_formula_gives_what_playing_it_through_gives(
    calls: int, burst: int, steady: int
) -> None:
    """Second by second, for any two limits of which the minute's is the tighter one."""
    limits = (Window(burst, 1), Window(max(burst, min(steady, 60 * burst)), 60))
    assert least_seconds(calls, limits) == played(calls, limits)


def test_a_million_profiles_go_in_a_hundred_imports() -> None:
    """A call each would take more than a day."""
    bulk, single = estimate("upsertProfile", 1_000_000, 250)
    assert (bulk.way, bulk.shares[0].calls, bulk.seconds) == ("bulk", 100, 9)
    assert (single.way, single.seconds // 60) == ("single", 1_333)


def test_large_rows_make_more_calls() -> None:
    """By the bytes of a request."""
    (bulk, *_) = estimate("upsertProfile", 10_000, 4_550)
    assert (bulk.shares[0].rows_per_call, bulk.shares[0].calls) == (1_000, 10)
    (huge, *_) = estimate("trackEvent", 3, 1e9)
    assert huge.shares[0].calls == 3


def test_the_slowest_operation_counts() -> None:
    """Whoever is removed from a list is looked up first, a hundred at a time."""
    (bulk, *_) = estimate("removeProfileFromList", 100_000)
    assert [(share.operation, share.calls) for share in bulk.shares] == [
        ("get_profiles", 1_000),
        ("remove_profiles_from_list", 100),
    ]
    assert bulk.seconds == bulk.shares[0].seconds == 60 + 3


def test_every_action_and_object_has_its_ways() -> None:
    """Of operations whose limits are known, bulk for the actions that have it."""
    assert set(WAYS) == set(KLAVIYO.actions)
    assert set(OBJECTS.values()) <= set(WAYS)
    table = json.loads(
        resources.files("destination.klaviyo").joinpath("rate_limits.json").read_bytes()
    )
    for name, ways in WAYS.items():
        assert {step.operation for way in ways for step in way.steps} <= set(table)
        batch = KLAVIYO.actions[name].batch
        assert [way.name for way in ways] == (["bulk", "single"] if batch else ["single"])
        if batch:
            assert ways[0].steps[-1].rows == batch.rows


def test_files_for_sftp_are_counted_by_bytes() -> None:
    """None for nothing."""
    assert [files(rows, 1_000) for rows in (0, 1, 100_000, 100_001)] == [0, 1, 1, 2]


def test_the_steady_pace_is_that_of_the_slowest_operation() -> None:
    """By the minute, which is less than sixty times the second; some actions have one way only."""
    assert steady("upsertProfile") == 10_000 * 150 / 60
    assert steady("upsertProfile", bulk=False) == 750 / 60
    assert steady("removeProfileFromList") == 100 * 750 / 60
    assert steady("orderCompleted") == 1_000 * 150 / 60
    assert steady("mergeProfiles") == steady("mergeProfiles", bulk=False)
    for action in WAYS:
        assert steady(action) >= steady(action, bulk=False) > 0
