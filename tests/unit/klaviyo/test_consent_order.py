"""An older yes never undoes a newer no, in whatever order the two arrive."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from destination.delivery import Delivered, Discard, Dropped, Outcome, Retry
from destination.errors import Ended, NoRoom, Unanswered
from destination.event import encode
from destination.fields import compile_fields
from destination.klaviyo import KLAVIYO
from destination.mapping.file import read_mapping_file
from destination.pipeline import plan, route
from destination.sending import Account
from tests.unit.klaviyo.klaviyo_script import (
    NOW,
    Script,
    Times,
    account,
    answer,
    remembering,
    rows_of,
)

MAIL, PHONE = "ana@acme.io", "+14155552671"
TAKEN = answer(202)
OLD, NEW = NOW - 200, NOW - 100


def at(time: float) -> str:
    """A time as events carry it."""
    return datetime.fromtimestamp(time, UTC).isoformat()


class World:
    """One account over several deliveries; ``send`` is what stands in for Klaviyo."""

    def __init__(self, send: Any = None) -> None:
        self.send = send or Script(TAKEN)
        self.times = Times()

    def do(self, name: str, *payloads: dict[str, Any], now: float = NOW) -> list[Outcome]:
        """The outcomes of the bulk form, or of the single one where there is no other."""
        action = KLAVIYO.actions[name]
        ready = [action.prepare(each, now) for each in payloads]
        one = account(self.send, now=now, times=self.times)
        if action.batch is None:
            return [action.perform(each, one) for each in ready]
        return action.batch.perform(ready, one)

    def one(self, name: str, time: float, now: float = NOW, **payload: Any) -> Outcome:
        """The outcome of one decision made at ``time``."""
        (outcome,) = self.do(name, {"email": MAIL, "decided_at": at(time), **payload}, now=now)
        return outcome

    @property
    def sent(self) -> list[str]:
        """The operations that were asked for."""
        return [each.operation for each in self.send.requests]


@pytest.mark.parametrize("no", ["unsubscribeProfile", "suppressProfile", "deleteProfile"])
@pytest.mark.parametrize("yes", ["subscribeProfile", "unsuppressProfile"])
def test_an_older_yes_is_dropped(no: str, yes: str) -> None:
    """It came later all the same; nothing is sent for it."""
    world = World()
    assert isinstance(world.one(no, NEW), Delivered)
    outcome = world.one(yes, OLD)
    assert isinstance(outcome, Dropped)
    assert outcome.code == "older_than_unsubscribe"
    assert len(world.sent) == 1


@pytest.mark.parametrize("time", [OLD, NEW])
def test_a_yes_that_is_not_older_is_sent(time: float) -> None:
    """Also one of the same instant: one event may subscribe to a list and leave another."""
    world = World()
    world.one("unsubscribeProfile", OLD)
    assert isinstance(world.one("subscribeProfile", time), Delivered)


def test_a_no_is_always_sent() -> None:
    """However old, and whatever came between; it makes nothing older count again."""
    world = World()
    world.one("unsubscribeProfile", NEW)
    world.one("subscribeProfile", NEW + 1)
    assert isinstance(world.one("unsubscribeProfile", OLD), Delivered)
    assert isinstance(world.one("subscribeProfile", NEW - 1), Dropped)


def test_addresses_are_compared_as_klaviyo_does() -> None:
    """Without regard to case; and nobody else is concerned."""
    world = World()
    world.one("unsubscribeProfile", NEW, email="Ana@Acme.io")
    assert isinstance(world.one("subscribeProfile", OLD), Dropped)
    assert isinstance(world.one("subscribeProfile", OLD, email="bo@acme.io"), Delivered)


def test_each_channel_is_judged_apart() -> None:
    """Who left one is subscribed to the other, and the row says so."""
    world = World()
    world.one("unsubscribeProfile", NEW)
    outcome = world.one("subscribeProfile", OLD, phone_number=PHONE)
    assert outcome == Delivered("accepted_by_klaviyo", "email_older_than_unsubscribe")
    (row,) = rows_of(world.send.requests[-1])
    assert row["attributes"].keys() == {"phone_number", "subscriptions"}
    assert row["attributes"]["subscriptions"].keys() == {"sms"}


def test_leaving_one_list_holds_off_an_older_yes_to_another() -> None:
    """What leaving a list does to consent as a whole is Klaviyo's to decide."""
    member = {"type": "profile", "id": "P", "attributes": {"email": MAIL}}
    world = World(Script(answer(200, {"data": [member]}), TAKEN))
    assert isinstance(world.one("unsubscribeProfile", NEW, list_id="A"), Delivered)
    assert isinstance(world.one("subscribeProfile", OLD, list_id="B"), Dropped)


@pytest.mark.parametrize(
    "world",
    [
        World(Script(answer(200, {"data": []}))),
        World(Script(answer(500))),
        World(Script(answer(404, {"errors": [{"code": "not_found"}]}))),
    ],
)
def test_a_no_counts_though_klaviyo_was_not_told(world: World) -> None:
    """Not on the list, Klaviyo down, list gone: the person wanted out."""
    assert not isinstance(world.one("unsubscribeProfile", NEW, list_id="A"), Delivered)
    assert isinstance(world.one("subscribeProfile", OLD, list_id="A"), Dropped)


def test_a_no_is_remembered_before_it_is_sent() -> None:
    """A worker may die in between."""
    world = World(Script(Unanswered("reset")))
    with pytest.raises(Unanswered):
        world.one("unsubscribeProfile", NEW)
    assert set(world.times.known.values()) == {NEW}


def test_nothing_is_sent_while_it_is_unknown_what_was_decided() -> None:
    """Neither a yes that may be too old, nor a no that would be forgotten."""

    def unknown(_keys: Any) -> Any:
        raise NoRoom(1.0, "memory")

    script = Script(TAKEN)
    one = Account(script, remembering(), NOW, "2026-07-15", unknown, unknown)
    for name in ("subscribeProfile", "unsubscribeProfile"):
        action = KLAVIYO.actions[name]
        with pytest.raises(NoRoom):
            action.perform(action.prepare({"email": MAIL}, NOW), one)
    assert not script.requests


def test_a_consent_of_the_past_was_decided_when_it_was_given() -> None:
    """Importing old consent undoes nothing that came after it."""
    world = World()
    world.one("unsubscribeProfile", OLD)
    outcome = world.one(
        "subscribeProfile", NOW, historical_import=True, consented_at=at(OLD - 86_400)
    )
    assert isinstance(outcome, Dropped)
    outcome = world.one("subscribeProfile", NOW, historical_import=True, consented_at=at(NEW))
    assert isinstance(outcome, Delivered)


def test_a_clock_that_is_ahead_locks_nobody_out() -> None:
    """A no from the future counts as one of now."""
    world = World()
    world.one("unsubscribeProfile", NOW + 300 * 86_400)
    outcome = world.one("subscribeProfile", NOW + 60, now=NOW + 60)
    assert isinstance(outcome, Delivered)


def test_without_a_time_the_order_of_acceptance_holds() -> None:
    """A decision without a time is made when it is sent."""
    world = World()
    world.do("unsubscribeProfile", {"email": MAIL})
    assert isinstance(world.do("subscribeProfile", {"email": MAIL}, now=NOW + 1)[0], Delivered)
    world.do("unsubscribeProfile", {"email": MAIL}, now=NOW + 2)
    assert isinstance(world.one("subscribeProfile", NOW + 1, now=NOW + 3), Dropped)


def test_a_time_that_cannot_be_read_keeps_a_yes_from_being_sent() -> None:
    """It could be older than a no; a no is sent all the same."""
    for name in ("subscribeProfile", "unsuppressProfile"):
        with pytest.raises(Ended) as ended:
            KLAVIYO.actions[name].prepare({"email": MAIL, "decided_at": "x"}, NOW)
        assert isinstance(ended.value.outcome, Discard)
        assert ended.value.outcome.code == "invalid_time"
    for name in ("unsubscribeProfile", "suppressProfile", "deleteProfile"):
        ready = KLAVIYO.actions[name].prepare({"email": MAIL, "decided_at": "x"}, NOW)
        assert "decided_at" not in ready


def test_what_is_remembered_names_nobody() -> None:
    """A digest stands in for each address, another one for each channel."""
    world = World()
    world.one("unsubscribeProfile", NEW, phone_number=PHONE)
    assert len(world.times.known) == 2
    assert not any(MAIL in key or PHONE in key for key in world.times.known)


def test_the_time_of_a_decision_is_never_sent() -> None:
    """Klaviyo has no such field."""
    world = World()
    for name in ("subscribeProfile", "unsubscribeProfile", "suppressProfile"):
        world.one(name, OLD)
    assert not any("decided_at" in str(each.json) for each in world.send.requests)


@pytest.mark.parametrize("name", ["subscribeProfile", "unsubscribeProfile", "suppressProfile"])
def test_a_person_is_sent_once_in_a_request(name: str) -> None:
    """Rows about the same person share their outcome."""
    world = World()
    rows = [{"email": each} for each in (MAIL, "bo@acme.io", MAIL)]
    outcomes = world.do(name, *rows)
    assert outcomes == [Delivered("accepted_by_klaviyo")] * 3
    (request,) = world.send.requests
    assert len(list(rows_of(request))) == 2


def test_of_two_consents_of_a_person_the_newest_is_sent() -> None:
    """Wherever it stands in the batch."""
    world = World()
    rows = [
        {"email": MAIL, "historical_import": True, "consented_at": at(each)}
        for each in (OLD, NEW, OLD - 1)
    ]
    assert [type(each) for each in world.do("subscribeProfile", *rows)] == [Delivered] * 3
    (row,) = rows_of(world.send.requests[0])
    given = row["attributes"]["subscriptions"]["email"]["marketing"]["consented_at"]
    assert datetime.fromisoformat(given).timestamp() == NEW


def test_a_row_that_shares_one_address_waits_for_the_next_request() -> None:
    """Klaviyo states no order among the rows of a request."""
    world = World()
    outcomes = world.do("subscribeProfile", {"email": MAIL, "phone_number": PHONE}, {"email": MAIL})
    assert isinstance(outcomes[0], Delivered)
    assert isinstance(outcomes[1], Retry)
    assert (outcomes[1].code, outcomes[1].spends) == ("same_person_in_batch", False)


def test_rows_that_are_too_old_leave_the_others_of_their_batch_alone() -> None:
    """One outcome for each row, in order."""
    world = World()
    world.one("unsubscribeProfile", NEW)
    rows = [
        {"email": MAIL, "decided_at": at(OLD)},
        {"email": "bo@acme.io", "decided_at": at(OLD)},
        {"email": MAIL, "decided_at": at(NOW)},
    ]
    outcomes = world.do("subscribeProfile", *rows)
    assert [type(each) for each in outcomes] == [Dropped, Delivered, Delivered]


@pytest.mark.parametrize("name", ["subscribeProfile", "unsubscribeProfile"])
def test_a_bad_phone_number_costs_nobody_their_decision_about_mail(name: str) -> None:
    """It is left out and noted; alone it is refused."""
    world = World()
    both, mail = world.do(name, {"email": MAIL, "phone_number": "12"}, {"email": "bo@acme.io"})
    assert both == Delivered("accepted_by_klaviyo", "phone_number_ignored")
    assert mail == Delivered("accepted_by_klaviyo")
    rows = list(rows_of(world.send.requests[0]))
    assert [row["attributes"].keys() for row in rows] == [{"email", "subscriptions"}] * 2
    with pytest.raises(Ended):
        world.do(name, {"phone_number": "12"})


def planned(fields: dict[str, Any]) -> dict[str, Any]:
    """The payload of an event of ``OLD`` for an unsubscription with these fields."""
    entry = {
        "name": "leave",
        "action": "unsubscribeProfile",
        "trigger": 'type = "track"',
        "fields": fields,
    }
    file = encode({"name": "m", "mappings": [entry]})
    (mapping,), problems = read_mapping_file(file, "m.json", KLAVIYO.actions)
    assert not problems
    event = {
        "type": "track",
        "event": "Left",
        "timestamp": at(OLD),
        "properties": {"left_at": at(NEW)},
    }
    return plan(event, route(mapping, KLAVIYO.actions), NOW)


def test_a_decision_was_made_at_the_time_of_its_event_unless_the_mapping_says_otherwise() -> None:
    """No mapping needs to think of it."""
    mail = {"email": "ana@acme.io"}
    assert planned(mail)["decided_at"] == at(OLD)[:-6] + ".000Z"
    mapped = planned({**mail, "decided_at": {"@path": "$.properties.left_at"}})
    assert mapped["decided_at"] == at(NEW)[:-6] + ".000Z"


Checked = Callable[[Any], dict[str, Any]]


@pytest.mark.parametrize("name", [each.name for each in KLAVIYO.actions.values() if each.stamp])
def test_the_stamp_is_a_field_that_can_be_mapped(name: str) -> None:
    """Its own time of the decision goes before the event's."""
    action = KLAVIYO.actions[name]
    checked: Checked = compile_fields(action.fields)
    payload = checked({"email": MAIL, "decided_at": at(OLD)})
    assert action.prepare(payload, NOW)["decided_at"] == at(OLD)[:-6] + ".000Z"
