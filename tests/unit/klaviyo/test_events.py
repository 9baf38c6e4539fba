"""Events: once each, whatever happens on the way; orders and their products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.delivery import Delivered, Discard, Outcome, Retry
from destination.errors import Ended, Unanswered
from destination.event import encode
from destination.klaviyo import KLAVIYO
from destination.klaviyo.limits import EVENT_PROFILE_BYTES
from destination.klaviyo.model import digest, event_problem, event_times
from destination.klaviyo.revision import shape
from destination.sending import Request
from tests.unit.klaviyo.klaviyo_script import NOW, Script, account, answer, refusal, rows_of

TRACK = KLAVIYO.actions["trackEvent"]
ORDER = KLAVIYO.actions["orderCompleted"]
TAKEN = answer(202)
ANA = {"email": "ana@acme.io"}


def event(**more: Any) -> dict[str, Any]:
    """A payload of trackEvent."""
    return {"profile": ANA, "metric_name": "Viewed", "properties": {"sku": "a"}, **more}


def order(**more: Any) -> dict[str, Any]:
    """A payload of orderCompleted with three products."""
    products = [{"sku": "a"}, {"sku": "b", "order_id": "own"}, {"sku": "c"}]
    return {
        "profile": ANA,
        "properties": {"order_id": "1001", "products": products},
        "products": products,
        "unique_id": "m-1",
        "value": 30,
        "value_currency": "EUR",
        **more,
    }


def end(action: Any, payload: dict[str, Any], send: Any, **settings: Any) -> Outcome:
    """The outcome of the single form."""
    try:
        outcome: Outcome = action.perform(action.prepare(payload, NOW), account(send, **settings))
    except Ended as ended:
        return ended.outcome
    return outcome


def batch(payloads: Sequence[dict[str, Any]], send: Any, action: Any = TRACK) -> list[Outcome]:
    """The outcomes of the bulk form."""
    ready = [action.prepare(each, NOW) for each in payloads]
    outcomes: list[Outcome] = action.batch.perform(ready, account(send))
    return outcomes


def attributes(request: Request) -> dict[str, Any]:
    """The attributes of the event in a Create Event request."""
    found: dict[str, Any] = request.json["data"]["attributes"]
    return found


def test_an_event_is_accepted_by_klaviyo() -> None:
    """202 and an empty body is all there is."""
    assert end(TRACK, event(), Script(TAKEN)) == Delivered("accepted_by_klaviyo")


@pytest.mark.parametrize(
    ("given_id", "sent"),
    [("m-1", "m-1"), ("x" * 255, "x" * 255), ("x" * 256, digest("x" * 256))],
)
def test_the_id_of_an_event_fits(given_id: str, sent: str) -> None:
    """Klaviyo takes 255 characters; a longer one is shortened the same way every time."""
    script = Script(TAKEN)
    end(TRACK, event(unique_id=given_id), script)
    assert attributes(script.requests[0])["unique_id"] == sent


def test_two_events_of_one_second_without_ids_are_two_events() -> None:
    """Klaviyo's own default would keep one; the same event again keeps its id."""
    at = "2025-11-20T10:00:00Z"
    one, two, again = (
        TRACK.prepare(event(time=at, properties={"n": n}), NOW)["unique_id"] for n in (1, 2, 1)
    )
    assert one == again != two


def test_without_time_and_id_nothing_tells_a_repeated_event_from_an_equal_one() -> None:
    """So no id is made up, which would drop the second of two equal events for good."""
    assert "unique_id" not in TRACK.prepare(event(), NOW)


@pytest.mark.parametrize(
    ("time", "sent"),
    [
        (1_712_341_200, "2024-04-05T18:20:00.000Z"),
        ("1712341200", "2024-04-05T18:20:00.000Z"),
        (1_712_341_200_123, "2024-04-05T18:20:00.123Z"),
        (0, None),
    ],
)
def test_times_mean_what_they_say(time: Any, sent: str | None) -> None:
    """Seconds as a number or as digits are seconds, not the year 1712 or January 1970."""
    assert TRACK.prepare(event(time=time), NOW).get("time") == sent


@pytest.mark.parametrize(
    ("time", "revision", "kind"),
    [
        ("1995-01-01", "2026-07-15", Delivered),
        ("1995-01-01", "2025-01-15", Discard),
        ("2026-11-01", "2026-07-15", Delivered),
        ("2027-01-01", "2026-07-15", Discard),
    ],
)
def test_times_outside_the_revisions_range_are_refused(
    time: str, revision: str, kind: type
) -> None:
    """Before sending; in a batch without touching its neighbours."""
    payload = event(time=time)
    assert isinstance(end(TRACK, payload, Script(TAKEN), revision=revision), kind)


def test_what_is_no_attribute_becomes_a_property_of_the_profile() -> None:
    """A key too many would be a refusal; the country code goes nowhere, mapped properties win."""
    profile = {**ANA, "country_code": "US", "colour": "red", "size": 1, "properties": {"size": 2}}
    script = Script(TAKEN)
    batch([event(profile=profile)], script)
    (row,) = rows_of(script.requests[0])
    assert row["attributes"]["profile"]["data"]["attributes"] == {
        **ANA,
        "properties": {"colour": "red", "size": 2},
    }


def test_a_profile_part_over_klaviyos_limit_is_refused_and_its_neighbours_go() -> None:
    """95 KB; only the event concerned ends."""
    script = Script(TAKEN)
    outcomes = batch([event(profile={**ANA, "title": "x" * 95_000}), event()], script)
    assert [type(each) for each in outcomes] == [Discard, Delivered]
    assert len(list(rows_of(script.requests[0]))) == 1


def test_one_event_twice_in_a_batch_is_sent_once() -> None:
    """Klaviyo would refuse the whole request; another person's, metric's or id's is another event."""
    payloads = [
        event(unique_id="1"),
        event(unique_id="1", profile={"email": "ANA@acme.io"}),
        event(unique_id="1", profile={"email": "bo@acme.io"}),
        event(unique_id="1", metric_name="Bought"),
        event(unique_id="2"),
        event(),
        event(),
    ]
    script = Script(TAKEN)
    assert batch(payloads, script) == [Delivered("accepted_by_klaviyo")] * 7
    assert len(list(rows_of(script.requests[0]))) == 6


def test_a_bad_event_costs_its_neighbours_nothing() -> None:
    """It is taken out and the rest goes, in the same call."""
    bad = refusal(
        400, "/data/attributes/events-bulk-create/data/1/attributes/profile/data/attributes/email"
    )
    script = Script(bad, bad, TAKEN)
    outcomes = batch([event(unique_id=str(n)) for n in range(3)], script)
    assert [type(each) for each in outcomes] == [Delivered, Discard, Delivered]
    assert [len(list(rows_of(each))) for each in script.requests] == [3, 1, 2]


def test_an_order_and_its_products_have_ids_that_come_from_the_order() -> None:
    """Sent again, every request is the same as before."""
    script = Script(TAKEN)
    assert end(ORDER, order(), script) == Delivered("accepted_by_klaviyo")
    sent = [attributes(each) for each in script.requests]
    assert [each["unique_id"] for each in sent] == ["m-1", "m-1:0", "m-1:1", "m-1:2"]
    assert [each["metric"]["data"]["attributes"]["name"] for each in sent] == [
        "Order Completed",
        *["Ordered Product"] * 3,
    ]
    assert sent[2]["properties"] == {"order_id": "own", "sku": "b"}
    assert "value" in sent[0]
    assert all("value" not in each and "value_currency" not in each for each in sent[1:])
    again = Script(TAKEN)
    end(ORDER, order(), again)
    assert again.requests == script.requests


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_products_follow_any_success(status: int) -> None:
    """Not only a 202."""
    script = Script(answer(status))
    end(ORDER, order(), script)
    assert len(script.requests) == 4


def test_products_wait_for_the_order() -> None:
    """A refused order has none."""
    script = Script(refusal(400))
    assert isinstance(end(ORDER, order(), script), Discard)
    assert len(script.requests) == 1


def test_a_refused_product_keeps_no_other_from_being_sent() -> None:
    """The row is a dead letter all the same."""
    script = Script(TAKEN, TAKEN, refusal(400, detail="bad sku"), TAKEN)
    outcome = end(ORDER, order(), script)
    assert isinstance(outcome, Discard)
    assert "bad sku" in outcome.message
    assert len(script.requests) == 4


def orders(number: int) -> list[dict[str, Any]]:
    """Orders of three products, each with an id of its own."""
    return [order(unique_id=f"m-{n}") for n in range(number)]


def test_orders_and_their_products_go_in_one_request() -> None:
    """With the ids that they have when each goes alone."""
    script = Script(TAKEN)
    assert batch(orders(2), script, ORDER) == [Delivered("accepted_by_klaviyo")] * 2
    (request,) = script.requests
    sent = [row["attributes"]["events"]["data"][0]["attributes"] for row in rows_of(request)]
    lines = ("", ":0", ":1", ":2")
    assert [each["unique_id"] for each in sent] == [
        f"m-{n}{line}" for n in (0, 1) for line in lines
    ]


def test_many_orders_go_in_as_few_requests_as_klaviyo_takes() -> None:
    """A thousand events in each, products counted."""
    script = Script(TAKEN)
    batch(orders(600), script, ORDER)
    assert [len(list(rows_of(each))) for each in script.requests] == [1000, 1000, 400]


def test_a_refused_product_ends_its_order_and_no_other() -> None:
    """All its other events are recorded."""
    place = "/data/attributes/events-bulk-create/data/2/attributes/profile/data/attributes/email"
    bad = refusal(400, place)
    script = Script(bad, bad, TAKEN)
    assert [type(each) for each in batch(orders(2), script, ORDER)] == [Discard, Delivered]
    assert [len(list(rows_of(each))) for each in script.requests] == [8, 1, 7]


def test_orders_wait_when_a_part_of_their_events_must_wait() -> None:
    """The whole order goes again, which counts nothing twice."""
    script = Script(TAKEN, Unanswered("reset"))
    outcomes = batch(orders(300), script, ORDER)
    assert [type(each) for each in outcomes] == [Delivered] * 250 + [Retry] * 50


def test_a_product_that_must_wait_makes_the_whole_order_go_again() -> None:
    """Which counts nothing twice."""
    script = Script(TAKEN, TAKEN, answer(429, retry_after="3"))
    outcome = end(ORDER, order(), script)
    assert isinstance(outcome, Retry)
    assert outcome.after == 3
    with pytest.raises(Unanswered):
        end(ORDER, order(), Script(TAKEN, Unanswered("reset")))


def test_an_order_without_an_id_gets_one_from_its_content() -> None:
    """Its products need one to be counted once."""
    without = order()
    del without["unique_id"]
    first, again = (ORDER.prepare(without, NOW)["unique_id"] for _ in range(2))
    assert first == again
    assert ORDER.prepare({**without, "value": 31}, NOW)["unique_id"] != first


def test_names_of_metrics_can_be_mapped() -> None:
    """For the order and for its products."""
    script = Script(TAKEN)
    end(ORDER, order(event_name="Sale", product_event_name="Sold"), script)
    names = [attributes(each)["metric"]["data"]["attributes"]["name"] for each in script.requests]
    assert names == ["Sale", "Sold", "Sold", "Sold"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_a_digest_does_not_depend_on_the_order_of_keys(value: Any) -> None:
    """Equal JSON, equal id."""

    def turned(each: Any) -> Any:
        if isinstance(each, dict):
            return {key: turned(each[key]) for key in reversed(each)}
        return [turned(item) for item in each] if isinstance(each, list) else each

    assert digest(value) == digest(turned(value))


@given(
    st.dictionaries(
        st.sampled_from(["email", "external_id", "anonymous_id", "_kx", "title"]),
        st.integers(0, 5_000).map(lambda count: count * "\x01"),  # six bytes each, written down
    )
)
def test_profile_is_too_large_exactly_above_the_bound(who: dict[str, str]) -> None:
    """However its size is told: from the identifiers' lengths or from what is written down."""
    now = shape("2026-07-15")
    problem = event_problem(event(profile=who), now, event_times(now, NOW))
    assert (problem is not None) is (len(encode(who)) > EVENT_PROFILE_BYTES)
