"""What differs between API revisions, and what a rehearsal answers."""

from __future__ import annotations

import re

import pytest

from destination.klaviyo import KLAVIYO, requests
from destination.klaviyo.revision import SHAPES, shape
from tests.unit.klaviyo.klaviyo_script import Script, account, answer


@pytest.mark.parametrize(
    ("revision", "since"),
    [
        ("2024-10-15", "2025-01-15"),
        ("2025-01-15", "2025-01-15"),
        ("2026-04-14", "2025-01-15"),
        ("2026-07-15", "2026-07-15"),
        ("2026-07-15.pre", "2026-07-15"),
        ("2026-10-15", "2026-10-15"),
        ("2099-01-15", "2026-10-15"),
    ],
)
def test_a_revision_has_the_shape_of_the_last_change_before_it(revision: str, since: str) -> None:
    """An older one than the table knows gets the oldest, a newer one the newest."""
    assert shape(revision).since == since


def test_the_table_is_in_order() -> None:
    """It is searched by halves."""
    assert list(SHAPES) == sorted(SHAPES, key=lambda each: each.since)


def test_backfill_goes_only_where_the_revision_knows_it() -> None:
    """Elsewhere it would be a key too many."""
    track = KLAVIYO.actions["trackEvent"]
    payload = {
        "profile": {"email": "ana@acme.io"},
        "metric_name": "m",
        "properties": {},
        "backfill": True,
    }
    for revision, known in (("2026-01-15", False), ("2026-04-15", True)):
        send = Script(answer(202))
        track.perform(track.prepare(payload, 0.0), account(send, revision=revision))
        assert ("backfill" in send.requests[0].json["data"]["attributes"]) is known


def test_rehearsed_ids_look_like_klaviyos_and_repeat() -> None:
    """Profiles have ULIDs, lists six characters; another request gets another id."""
    ids = [
        KLAVIYO.rehearse(requests.create_profile({"email": each})).json()["data"]["id"]
        for each in ("a@acme.io", "b@acme.io", "a@acme.io")
    ]
    assert ids[0] == ids[2] != ids[1]
    assert all(re.fullmatch("[0-9A-HJKMNP-TV-Z]{26}", each) for each in ids)
    made = KLAVIYO.rehearse(requests.create_list("News")).json()["data"]["id"]
    assert re.fullmatch("[A-Za-z0-9]{6}", made)
