"""Replaying dead letters: quiet where they are old, with any mapping, slowly, once."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import pytest

from destination.event import encode
from destination.mapping.file import Mapping, read_mapping_file
from destination.pipeline import LATE, late, plan, route
from destination.registry import DESTINATIONS
from destination.runtime.delivery.lanes import Lane
from destination.runtime.letters.replays import BACKLOG, How, Replays, Sketch
from destination.runtime.recent_deliveries import RECENT, recent_key
from destination.runtime.store import PREFIX, DeadLetter, Row, Scripts
from destination.runtime.versions import Versions, text_of
from destination.settings import load_settings
from tests.unit.runtime.test_letters import buried, counted

NAME = "test/events"
KLAVIYO = DESTINATIONS["klaviyo"]
NOW = 1_790_000_000.0
HOUR_AGO, JUST_NOW = "2026-09-21T13:06:39+00:00", "2026-09-21T14:06:00Z"


def mapping(action: str = "trackEvent", **fields: Any) -> Mapping:
    """A mapping of this action."""
    fields = {
        "profile": {"external_id": {"@path": "$.userId"}},
        "properties": {"@path": "$.properties"},
        "time": {"@path": "$.timestamp"},
    } | fields
    if action == "trackEvent":
        fields["metric_name"] = {"@path": "$.event"}
    entry = {
        "name": "events",
        "action": action,
        "trigger": 'type = "track"',
        "fields": fields,
    }
    text = encode({"name": "test", "mappings": [entry]})
    (found,), _problems = read_mapping_file(text, "test", KLAVIYO.actions)
    return found


def body(**members: Any) -> dict[str, Any]:
    """A track event."""
    return {
        "type": "track",
        "messageId": "m-1",
        "event": "Done",
        "userId": "u-1",
        "properties": {},
    } | members


@pytest.mark.parametrize(
    ("members", "is_late"),
    [
        ({"timestamp": HOUR_AGO}, True),
        ({"timestamp": JUST_NOW}, False),
        ({"receivedAt": JUST_NOW}, False),
        ({"timestamp": HOUR_AGO, "receivedAt": JUST_NOW}, True),
        ({"timestamp": "yesterday"}, True),
        ({"timestamp": 12}, True),
        ({}, True),
    ],
)
def test_an_event_is_late_by_its_own_time(members: dict[str, Any], is_late: bool) -> None:
    """An hour after it happened, or when nobody can tell."""
    assert late(body(**members), NOW) is is_late
    assert LATE == 3600


@pytest.mark.parametrize("action", ["trackEvent", "orderCompleted"])
def test_a_late_replay_sets_nothing_off(action: str) -> None:
    """Its event is recorded as one of the past; no new event is, nor a prompt replay."""
    ready = route(mapping(action), KLAVIYO.actions)
    assert plan(body(timestamp=HOUR_AGO), ready, NOW, replayed=True)["backfill"] is True
    assert "backfill" not in plan(body(timestamp=HOUR_AGO), ready, NOW)
    assert "backfill" not in plan(body(timestamp=JUST_NOW), ready, NOW, replayed=True)


def test_the_mapping_decides_where_it_says_something() -> None:
    """Whoever maps the field knows why."""
    ready = route(mapping(backfill=False), KLAVIYO.actions)
    assert plan(body(timestamp=HOUR_AGO), ready, NOW, replayed=True)["backfill"] is False


def test_other_actions_are_replayed_as_they_are() -> None:
    """A profile has no such thing."""
    text = encode(
        {
            "name": "test",
            "mappings": [
                {
                    "name": "profiles",
                    "action": "upsertProfile",
                    "trigger": 'type = "track"',
                    "fields": {"external_id": {"@path": "$.userId"}},
                }
            ],
        }
    )
    (found,), _problems = read_mapping_file(text, "test", KLAVIYO.actions)
    ready = route(found, KLAVIYO.actions)
    old = body(timestamp=HOUR_AGO)
    assert plan(old, ready, NOW, replayed=True) == plan(old, ready, NOW)


class Installation:
    """A connection with one mapping file, whose letters were buried by an earlier version."""

    def __init__(self, folder: Path, scripts: Scripts, url: str) -> None:
        self.file = folder / "mappings" / "test.json"
        self.file.parent.mkdir()
        self.scripts, self.url = scripts, url
        self.write(mapping())
        self.settings = load_settings(
            folder=folder, environ={}, sandbox_url="http://127.0.0.1:9", mappings=self.file.parent
        )
        self.old = mapping(metric_name="Old", value={"@path": "$.properties.sum"})

    def write(self, *mappings: Mapping) -> None:
        """Put these mappings into force."""
        entries = [msgspec.json.decode(text_of(each))["mappings"][0] for each in mappings]
        self.file.write_bytes(encode({"name": "test", "mappings": entries}))

    def replays(self) -> Replays:
        """Replays with the mappings in force."""
        return Replays(self.scripts, self.settings, "default")

    def keep_old(self) -> None:
        """The version that failed was kept."""
        Versions(self.scripts.client, "default", KLAVIYO.actions).add(self.old)

    def bury(self, *bodies: dict[str, Any]) -> list[DeadLetter]:
        """Letters of these events, dead since ``NOW``."""
        letters = []
        for number, each in enumerate(bodies):
            row = Row(msgspec.Raw(encode(each)), f"m-{number}", "web", "p", mapping=NAME)
            letters.append(
                DeadLetter(
                    id=f"web:m-{number}:{NAME}",
                    mapping=NAME,
                    lane=NAME,
                    action=self.old.action,
                    version=self.old.version,
                    code="rejected_by_klaviyo",
                    message="no such value",
                    time=NOW,
                    row=row,
                )
            )
        buried(self.scripts, self.url, *letters)
        return letters

    def waiting(self, lane: str = NAME) -> list[Row]:
        """The rows that wait in a lane."""
        found = Lane(self.scripts, "default", lane, lease=20)
        assert found.begin().state == "taken"
        rows = found.read(1000)
        found.release()
        return rows


@pytest.fixture
def installation(tmp_path: Path, scripts: Scripts, redis_url: str) -> Installation:
    """A connection to replay in."""
    return Installation(tmp_path, scripts, redis_url)


def sketch(installation: Installation, how: How = How(), **about: Any) -> Sketch:  # noqa: B008 frozen
    """What the replay of one letter would come to."""
    (letter,) = installation.bury(body(**{"timestamp": JUST_NOW, **about}))
    replays = installation.replays()
    return replays.sketch(letter, how, replays.delivered(), NOW)


def test_a_sketch_shows_what_is_sent_and_what_has_changed(installation: Installation) -> None:
    """Against the version that failed, request by request; nothing moves."""
    installation.keep_old()
    found = sketch(installation, properties={"sum": 5})
    assert (found.end, found.failed) == ("sent", "rejected_by_klaviyo")
    (request,) = found.requests
    assert (request["method"], request["path"]) == ("POST", "/api/events")
    assert found.changes is not None
    (change,) = found.changes
    assert change.before is not None
    assert change.before["json"]["data"]["attributes"]["value"] == 5
    assert change.after is not None
    assert "value" not in change.after["json"]["data"]["attributes"]
    assert (found.quiet, found.unwanted, found.stale) == (False, False, False)
    assert len(installation.replays().letters) == 1


def test_a_sketch_says_when_the_old_version_is_not_known(installation: Installation) -> None:
    """Not that nothing has changed."""
    assert sketch(installation).changes is None


def test_a_sketch_says_when_a_letter_would_be_dead_again(installation: Installation) -> None:
    """With the reason."""
    found = sketch(installation, event=None)
    assert (found.end, found.code) == ("refused", "payload_invalid")
    assert found.requests == ()


def test_a_sketch_says_when_nothing_would_happen(installation: Installation) -> None:
    """The mapping is gone or disabled, or its old version was never kept."""
    assert sketch(installation, How(failed=True)).end == "version_missing"
    (letter,) = installation.replays().letters
    installation.write(dataclasses.replace(mapping(), enabled=False))
    replays = installation.replays()
    assert replays.sketch(letter, How(), replays.delivered(), NOW).end == "mapping_disabled"
    installation.write(dataclasses.replace(mapping(), name="test/other"))
    assert installation.replays().sketch(letter, How(), replays.delivered(), NOW).end == (
        "mapping_missing"
    )


def test_a_sketch_is_of_the_quiet_replay_that_it_stands_for(installation: Installation) -> None:
    """An old event is backfilled unless it is to live; its request says so."""
    quiet = sketch(installation, timestamp=HOUR_AGO)
    assert quiet.quiet
    assert quiet.requests[0]["json"]["data"]["attributes"]["backfill"] is True
    (letter,) = installation.replays().letters
    replays = installation.replays()
    live = replays.sketch(letter, How(live=True), replays.delivered(), NOW)
    assert not live.quiet
    assert "backfill" not in live.requests[0]["json"]["data"]["attributes"]


def test_a_sketch_tells_that_the_trigger_has_changed_its_mind(installation: Installation) -> None:
    """The row is sent all the same, as the trigger was asked when it came."""
    installation.write(dataclasses.replace(mapping(), trigger='type = "identify"'))
    found = sketch(installation)
    assert found.unwanted
    assert found.requests


@pytest.mark.parametrize(
    ("at", "person", "of", "stale"),
    [
        (NOW + 5, "p", NAME, True),
        (NOW - 5, "p", NAME, False),
        (NOW + 5, "q", NAME, False),
        (NOW + 5, "p", "test/other", False),
    ],
)
def test_a_replay_that_would_overwrite_something_newer_is_stale(
    installation: Installation, at: float, person: str, of: str, stale: bool
) -> None:
    """Newer of the same person and mapping; for actions that write over what is there."""
    profiles = dataclasses.replace(
        mapping(), action="upsertProfile", fields={"external_id": {"@path": "$.userId"}}
    )
    installation.write(profiles)
    entry = {"outcome": "delivered", "mapping": of, "person": person, "time": at}
    installation.scripts.client.lpush(recent_key("default"), b"1\n" + encode(entry))
    assert sketch(installation).stale is stale
    installation.write(mapping())
    (letter,) = installation.replays().letters
    replays = installation.replays()
    assert not replays.sketch(letter, How(), replays.delivered(), NOW).stale


def test_how_far_back_deliveries_are_known_is_said(installation: Installation) -> None:
    """To the beginning while the log is not full, to its oldest entry then."""
    client = installation.scripts.client
    entries = [
        b"1\n" + encode({"outcome": "retry", "mapping": "x", "time": float(n)})
        for n in range(RECENT)
    ]
    client.rpush(recent_key("default"), *reversed(entries[1:]))
    assert installation.replays().delivered().since == 0
    client.rpush(recent_key("default"), entries[0])
    client.lset(recent_key("default"), -1, '1\n{"outcome":"x","mapping":"x","time":7.0}')
    assert installation.replays().delivered().since == 7


def test_letters_go_back_with_the_mapping_in_force(installation: Installation) -> None:
    """Whatever that is when they are sent."""
    letters = installation.bury(body(), body())
    assert installation.replays().put_back(letters, How()) == 2
    assert [(row.route, row.replayed, row.live) for row in installation.waiting()] == [
        (NAME, 1, False)
    ] * 2


def test_letters_go_back_as_they_were(installation: Installation) -> None:
    """With the version that failed, where it is on record; else they stay."""
    letters = installation.bury(body())
    how = How(failed=True, live=True)
    assert installation.replays().put_back(letters, how) == 0
    installation.keep_old()
    assert installation.replays().put_back(letters, how) == 1
    (row,) = installation.waiting()
    assert (row.version, row.live) == (installation.old.version, True)


def test_letters_go_back_with_a_draft(installation: Installation) -> None:
    """Which is kept until they are delivered; letters of other mappings have theirs."""
    draft = mapping(metric_name="Draft")
    letters = installation.bury(body())
    how = How({NAME: route(draft, KLAVIYO.actions)})
    replays = installation.replays()
    found = replays.sketch(letters[0], how, replays.delivered(), NOW)
    assert found.version == draft.version
    assert replays.put_back(letters, how) == 1
    (row,) = installation.waiting()
    kept = Versions(installation.scripts.client, "default", KLAVIYO.actions)
    asked = kept.routes({}, [row])[row.route]
    assert asked.mapping.version == draft.version


def test_letters_go_to_the_lane_that_their_mapping_has_now(installation: Installation) -> None:
    """Nobody works on the one that it had, when what it must keep in order has changed."""
    lists = dataclasses.replace(
        mapping(),
        action="addProfileToList",
        fields={"external_id": {"@path": "$.userId"}, "list_id": "AbC123"},
    )
    letters = installation.bury(body())
    installation.write(lists)
    assert installation.replays().put_back(letters, How()) == 1
    assert len(installation.waiting("lists")) == 1


def test_a_replay_keeps_to_its_rate_and_gives_way_to_new_events(installation: Installation) -> None:
    """Some letters at a time; none while the lane is full."""
    letters = installation.bury(*(body() for _number in range(45)))
    replays, waits = installation.replays(), list[float]()
    lane = f"{PREFIX}default:lane:{NAME}"
    client: Any = installation.scripts.client

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            client.rpush(lane, *[b"x"] * (BACKLOG + 1))
        if len(waits) == 6:
            client.ltrim(lane, 0, 39)

    moved = list(replays.paced([each.id for each in letters], How(), 100, wait=wait))
    assert moved == [20, 20, None, None, None, None, 5]
    assert waits == [0.2] * 6


def test_an_interrupted_replay_goes_on_where_it_was(installation: Installation) -> None:
    """Letters that were moved, or moved by somebody else, are passed over."""
    letters = installation.bury(*(body() for _number in range(50)))
    ids = [each.id for each in letters]
    steps = installation.replays().paced(ids, How(), 100, wait=lambda _seconds: None)
    assert next(steps) == 20
    del steps
    again = installation.replays().paced(ids, How(), 100, wait=lambda _seconds: None)
    assert [step for step in again if step is not None] == [0, 20, 10]
    assert len(installation.waiting()) == 50
    counted(installation.scripts)
