"""The actions against an imitation of Klaviyo that others wrote from Klaviyo's description."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import pytest

from destination.delivery import Delivered, Discard, Dropped, Outcome, Retry, Submitted
from destination.errors import Ended
from destination.event import encode
from destination.klaviyo import KLAVIYO
from destination.sending import Account, Request, Response
from tests.unit.klaviyo.klaviyo_script import remembering
from tests.unit.sandbox.api import Api

MAIL = "ana@acme.io"
PHONE = "+14155552671"


class World:
    """A fresh sandbox, and an account on it whose clock goes with each request."""

    def __init__(self) -> None:
        self.api = Api()
        self.account = Account(self.send, remembering(), self.api.clock.now(), "2026-07-15")
        self.asked: list[str] = []

    def send(self, request: Request) -> Response:
        """Hand a request over; a second passes, so that no limit is met."""
        self.api.clock.advance(1.0)
        self.asked.append(request.operation)
        url = request.path + (f"?{urlencode(request.query)}" if request.query else "")
        raw = encode(request.json) if request.json is not None else b""
        reply = self.api.send(request.method, url, raw=raw)
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return Response(reply.status, headers, reply.body)

    def one(self, action: str, **payload: Any) -> Outcome:
        """The outcome of the single form."""
        found = KLAVIYO.actions[action]
        try:
            outcome = found.perform(found.prepare(payload, self.account.now), self.account)
        except Ended as ended:
            return ended.outcome
        if not isinstance(outcome, Submitted):
            return outcome
        self.settle()
        assert found.batch
        assert found.batch.poll
        ends = found.batch.poll(outcome.job, [outcome.key], self.account)
        assert isinstance(ends, list), ends
        return ends[0]

    def many(self, action: str, payloads: Sequence[dict[str, Any]]) -> list[Outcome]:
        """The outcomes of the bulk form, after polling."""
        found = KLAVIYO.actions[action]
        assert found.batch
        ready = [found.prepare(each, self.account.now) for each in payloads]
        outcomes = found.batch.perform(ready, self.account)
        jobs = {each.job for each in outcomes if isinstance(each, Submitted)}
        for job in jobs:
            self.settle()
            assert found.batch.poll
            keys = [each.key for each in outcomes if isinstance(each, Submitted)]
            ends = found.batch.poll(job, keys, self.account)
            assert isinstance(ends, list), ends
            waiting = iter(ends)
            outcomes = [next(waiting) if isinstance(each, Submitted) else each for each in outcomes]
        return outcomes

    def settle(self) -> None:
        """Let what is under way be worked off."""
        self.api.clock.advance(60.0)

    @property
    def state(self) -> dict[str, Any]:
        """All that the account holds, after everything is worked off."""
        self.settle()
        return self.api.state()

    def person(self, email: str = MAIL) -> dict[str, Any]:
        """The profile with that address."""
        (found,) = [each for each in self.state["profiles"] if each.get("email") == email]
        return dict(found)


@pytest.fixture
def world() -> World:
    """A fresh one."""
    return World()


def test_a_profile_is_made_then_changed(world: World) -> None:
    """One person, the later values; a null clears."""
    properties = {"plan": "pro", "old": 1}
    assert world.one("upsertProfile", email=MAIL, properties=properties) == Delivered()
    assert (
        world.one("upsertProfile", email=MAIL, title="Baker", properties={"old": None})
        == Delivered()
    )
    assert world.person()["title"] == "Baker"
    assert world.person()["properties"] == {"plan": "pro"}
    assert world.asked == ["create_profile", "create_profile", "update_profile"]


def test_property_operations_are_applied(world: World) -> None:
    """Lists grow and shrink without being read first."""
    world.one("upsertProfile", email=MAIL, properties={"skus": ["a", "b"], "gone": 1})
    outcome = world.one(
        "upsertProfile", email=MAIL, append_properties={"skus": "c"}, unset_properties=["gone"]
    )
    assert outcome == Delivered()
    assert world.person()["properties"] == {"skus": ["a", "b", "c"]}


def test_identifiers_of_two_people_change_neither(world: World) -> None:
    """A dead letter."""
    world.one("upsertProfile", email=MAIL, title="A")
    world.one("upsertProfile", phone_number=PHONE, title="B")
    outcome = world.one("upsertProfile", email=MAIL, phone_number=PHONE, title="C")
    assert getattr(outcome, "code", "") == "identity_conflict"
    assert {each["title"] for each in world.state["profiles"]} == {"A", "B"}


def test_identifiers_of_two_people_are_a_conflict_in_an_import_too(world: World) -> None:
    """The same end as alone, and the neighbours arrive."""
    world.one("upsertProfile", email=MAIL, title="A")
    world.one("upsertProfile", phone_number=PHONE, title="B")
    rows = [{"email": "b@acme.io"}, {"email": MAIL, "phone_number": PHONE}, {"email": "c@acme.io"}]
    outcomes = world.many("upsertProfile", rows)
    assert outcomes[0] == outcomes[2] == Delivered()
    assert getattr(outcomes[1], "code", "") == "identity_conflict"


def test_an_import_ends_every_row(world: World) -> None:
    """A bad row at the door, a person twice, and the list they join."""
    rows = [
        {"email": "a@acme.io", "title": "1"},
        {"phone_number": "+123", "title": "2"},
        {"email": "b@acme.io", "title": "3"},
        {"email": "A@acme.io", "organization": "Acme"},
    ]
    outcomes = world.many("addProfileToList", [{**each, "list_name": "News"} for each in rows])
    assert [type(each) for each in outcomes] == [Delivered, Discard, Delivered, Delivered]
    found = {each["email"]: each for each in world.state["profiles"]}
    assert set(map(str.lower, found)) == {"a@acme.io", "b@acme.io"}
    (news,) = world.state["lists"]
    assert len(news["members"]) == 2


def test_events_are_counted_once(world: World) -> None:
    """Alone, in bulk, and again."""
    events = [
        {
            "profile": {"email": MAIL},
            "metric_name": "Viewed",
            "properties": {},
            "unique_id": str(n % 3),
        }
        for n in range(5)
    ]
    assert world.many("trackEvent", events) == [Delivered("accepted_by_klaviyo")] * 5
    world.one("trackEvent", **events[0])
    assert len(world.state["events"]) == 3


def test_an_order_with_products_is_counted_once(world: World) -> None:
    """However often it is sent."""
    order = {
        "profile": {"email": MAIL},
        "properties": {"order_id": "7"},
        "products": [{"sku": "a"}, {"sku": "b"}],
        "unique_id": "m",
        "value": 3,
    }
    for _ in range(3):
        assert isinstance(world.one("orderCompleted", **order), Delivered)
    assert len(world.state["events"]) == 3


def test_members_come_and_go(world: World) -> None:
    """By the name of the list; nobody gets or loses consent by it."""
    for email in (MAIL, "bo@acme.io"):
        assert world.one("addProfileToList", email=email, list_name="News") == Delivered()
    (news,) = world.state["lists"]
    assert len(news["members"]) == 2
    outcomes = world.many(
        "removeProfileFromList",
        [{"email": each, "list_name": "News"} for each in (MAIL, "nobody@acme.io")],
    )
    assert [type(each) for each in outcomes] == [Delivered, Dropped]
    (news,) = world.state["lists"]
    assert len(news["members"]) == 1
    assert not world.person().get("consent")


def test_consent_is_given_and_taken_from_one_list(world: World) -> None:
    """And whoever is not on that list keeps theirs."""
    news = world.api.list("News", opt_in_process="single_opt_in")
    other = world.api.list("Other", opt_in_process="single_opt_in")
    people = [{"email": MAIL, "list_id": news}, {"email": "bo@acme.io", "list_id": other}]
    for each in people:
        assert isinstance(world.one("subscribeProfile", **each), Delivered)
    assert consent(world, MAIL) == consent(world, "bo@acme.io") == "SUBSCRIBED"
    asked = [{"email": each["email"], "list_id": news} for each in people]
    outcomes = world.many("unsubscribeProfile", asked)
    assert [type(each) for each in outcomes] == [Delivered, Dropped]
    assert consent(world, "bo@acme.io") == "SUBSCRIBED"
    assert isinstance(world.one("unsubscribeProfile", email="bo@acme.io"), Delivered)
    assert consent(world, "bo@acme.io") == "UNSUBSCRIBED"


def consent(world: World, email: str) -> str:
    """The state of a person's consent to marketing mail."""
    return str(world.person(email)["consent"]["email.marketing"])


def test_a_bad_row_keeps_nobody_from_subscribing(world: World) -> None:
    """Klaviyo refuses the whole request; the rest goes again without it."""
    rows = [{"email": MAIL}, {"phone_number": "+123"}, {"email": "bo@acme.io"}]
    assert [type(each) for each in world.many("subscribeProfile", rows)] == [
        Delivered,
        Discard,
        Delivered,
    ]


def test_suppressions_come_and_go(world: World) -> None:
    """By address."""
    world.one("upsertProfile", email=MAIL)
    assert isinstance(world.one("suppressProfile", email=MAIL), Delivered)
    assert "USER_SUPPRESSED" in str(world.person())
    assert isinstance(world.one("unsuppressProfile", email=MAIL), Delivered)
    assert "USER_SUPPRESSED" not in str(world.person())


def test_people_are_merged_and_deleted(world: World) -> None:
    """Found by their external ids, and asked for only while they are there."""
    for who in ("u-1", "u-2"):
        world.one("upsertProfile", external_id=who)
    both = {"external_id": "u-2", "previous_external_id": "u-1"}
    assert world.one("mergeProfiles", **both) == Delivered()
    assert [each["external_id"] for each in world.state["profiles"]] == ["u-2"]
    assert isinstance(world.one("mergeProfiles", **both), Dropped)
    assert isinstance(world.one("deleteProfile", external_id="u-2"), Delivered)
    assert world.state["profiles"] == []
    assert isinstance(world.one("deleteProfile", email=MAIL), Dropped)


def test_a_throttled_call_says_how_long_to_wait(world: World) -> None:
    """Klaviyo's answer carries it, and the attempt is not spent."""
    send = world.api.clock
    assert KLAVIYO.probe(world.account) == Delivered()
    send.advance(-1.0)
    outcome = KLAVIYO.probe(world.account)
    assert isinstance(outcome, Retry)
    assert outcome.after is not None
    assert outcome.after >= 1
    assert not outcome.spends
