"""Random rows, random failures, lost answers: nothing is lost, nothing counts twice."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from destination.action import Action
from destination.delivery import Delivered, Discard, Dropped, Outcome, Retry, Submitted
from destination.errors import Ended, NoRoom, Unanswered
from destination.klaviyo import KLAVIYO
from destination.sending import Account
from tests.unit.klaviyo.fake_klaviyo import BAD, FakeKlaviyo, Fault
from tests.unit.klaviyo.klaviyo_script import NOW, account

FAULTS: list[Fault] = ["", "", "before", "after", "429", "500", "503 html", "403 html", "no room"]
ROUNDS = 80
LOST = Retry("unanswered")

people = st.integers(0, 4)
faults = st.lists(st.sampled_from(FAULTS), max_size=12)
Rows = list[tuple[int, bool]]
rows = st.lists(st.tuples(people, st.booleans()), min_size=1, max_size=12)


def deliver(
    action: Action, payloads: list[dict[str, Any]], klaviyo: FakeKlaviyo, *, bulk: bool
) -> list[Outcome]:
    """Send until every row has its end, from the start again after each failure, as workers do."""
    ends: dict[int, Outcome] = {}
    for _ in range(ROUNDS):
        ready = [action.prepare(deepcopy(each), NOW) for each in payloads]
        waiting = [place for place in range(len(ready)) if place not in ends]
        if not waiting:
            return [ends[place] for place in range(len(ready))]
        once = account(klaviyo)
        if bulk and action.batch:
            outcomes = attempt(action, [ready[place] for place in waiting], once)
        else:
            waiting = waiting[:1]
            outcomes = [alone(action, ready[waiting[0]], once)]
        assert len(outcomes) == len(waiting)
        ends |= {
            place: outcome
            for place, outcome in zip(waiting, outcomes, strict=True)
            if isinstance(outcome, Delivered | Dropped | Discard)
        }
    raise AssertionError(f"rows never end: {set(range(len(payloads))) - ends.keys()}")


def alone(action: Action, payload: dict[str, Any], once: Account) -> Outcome:
    """One attempt at one row."""
    try:
        return action.perform(payload, once)
    except Ended as ended:
        return ended.outcome
    except (Unanswered, NoRoom):
        return LOST


def attempt(action: Action, payloads: list[dict[str, Any]], once: Account) -> list[Outcome]:
    """One attempt at many rows, with the polling of what was submitted."""
    assert action.batch
    try:
        outcomes = action.batch.perform(payloads, once)
    except (Unanswered, NoRoom):
        return [LOST] * len(payloads)
    submitted = {each.job for each in outcomes if isinstance(each, Submitted)}
    for job in submitted:
        places = [
            place
            for place, each in enumerate(outcomes)
            if isinstance(each, Submitted) and each.job == job
        ]
        polled = polled_once(
            action, job, [getattr(outcomes[place], "key", None) for place in places], once
        )
        for place, outcome in zip(places, polled, strict=True):
            outcomes[place] = outcome
    return outcomes


def polled_once(action: Action, job: str, keys: list[Any], once: Account) -> list[Outcome]:
    """The ends of a job's rows; rows of a job that cannot be asked after go again."""
    assert action.batch
    assert action.batch.poll
    try:
        found = action.batch.poll(job, keys, once)
    except (Unanswered, NoRoom):
        return [LOST] * len(keys)
    return [LOST] * len(keys) if isinstance(found, Retry) else found


@settings(max_examples=200, deadline=None)
@given(rows, faults, st.booleans(), st.booleans())
def test_every_event_is_recorded_once(
    given_rows: Rows, broken: list[Fault], points: bool, bulk: bool
) -> None:
    """A good row leaves one event, a bad one none, whatever is lost on the way."""
    klaviyo = FakeKlaviyo(list(broken), points=points)
    payloads = [
        {
            "profile": {"external_id": f"u{who}", **({"first_name": BAD} if bad else {})},
            "metric_name": "Viewed",
            "properties": {},
            "unique_id": f"m-{place}",
        }
        for place, (who, bad) in enumerate(given_rows)
    ]
    ends = deliver(KLAVIYO.actions["trackEvent"], payloads, klaviyo, bulk=bulk)
    assert [isinstance(each, Discard) for each in ends] == [bad for _, bad in given_rows]
    recorded = Counter(unique for _, _, unique in klaviyo.events)
    good = [f"m-{place}" for place, (_, bad) in enumerate(given_rows) if not bad]
    assert recorded == Counter(good)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 4), faults)
def test_every_product_of_an_order_is_recorded_once(products: int, broken: list[Fault]) -> None:
    """Whichever of its requests is lost."""
    klaviyo = FakeKlaviyo(list(broken))
    payload = {
        "profile": {"external_id": "u"},
        "properties": {"order_id": "7"},
        "products": [{"sku": "a"}] * products,
        "unique_id": "m",
    }
    deliver(KLAVIYO.actions["orderCompleted"], [payload], klaviyo, bulk=False)
    metrics = Counter(metric for _, metric, _ in klaviyo.events)
    assert metrics == Counter({"Order Completed": 1, "Ordered Product": products})


@settings(max_examples=200, deadline=None)
@given(
    rows,
    faults,
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["upsertProfile", "addProfileToList"]),
)
def test_profiles_end_as_the_last_row_says(
    given_rows: Rows, broken: list[Fault], points: bool, names: bool, bulk: bool, name: str
) -> None:
    """The last accepted value of each person wins; nobody exists twice; bad rows leave nothing."""
    klaviyo = FakeKlaviyo(list(broken), points=points, names_conflicts=names)
    payloads = [
        {
            # A bad person is bad every time: which row of an import is refused is Klaviyo's say.
            "external_id": f"{BAD if bad else 'u'}{who}",
            "email": f"{BAD if bad else 'u'}{who}@acme.io",
            "title": str(place),
            "properties": {str(place): True},
            "list_id": "L",
            **({"first_name": BAD} if bad else {}),
        }
        for place, (who, bad) in enumerate(given_rows)
    ]
    ends = deliver(KLAVIYO.actions[name], payloads, klaviyo, bulk=bulk)
    assert [isinstance(each, Discard) for each in ends] == [bad for _, bad in given_rows]
    last = {who: str(place) for place, (who, bad) in enumerate(given_rows) if not bad}
    assert {each["external_id"]: each["title"] for each in klaviyo.profiles.values()} == {
        f"u{who}": title for who, title in last.items()
    }
    for profile in klaviyo.profiles.values():
        mine = {
            str(place)
            for place, (who, _) in enumerate(given_rows)
            if f"u{who}" == profile["external_id"]
        }
        assert profile["properties"].keys() == mine - {
            str(place) for place, (_, bad) in enumerate(given_rows) if bad
        }
    assert klaviyo.members == klaviyo.profiles.keys()
    assert not klaviyo.subscribed


@settings(max_examples=150, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=6), faults)
def test_errors_of_an_import_end_the_rows_they_are_about(
    late: list[bool], broken: list[Fault]
) -> None:
    """However often the job or the asking for it is lost."""
    klaviyo = FakeKlaviyo(list(broken))
    payloads = [
        {"external_id": f"u{place}", "last_name": "late" if each else "in time"}
        for place, each in enumerate(late)
    ]
    ends = deliver(KLAVIYO.actions["upsertProfile"], payloads, klaviyo, bulk=True)
    assert [getattr(each, "code", "") == "import_rejected" for each in ends] == late


@settings(max_examples=150, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=5), rows, faults, st.booleans())
def test_removal_removes_exactly_those_asked_for(
    members: list[bool], given_rows: Rows, broken: list[Fault], bulk: bool
) -> None:
    """Nobody else's membership moves."""
    klaviyo = FakeKlaviyo(list(broken))
    for who, member in enumerate(members):
        id_ = klaviyo.save({"email": f"u{who}@acme.io"})
        klaviyo.members |= {id_} if member else set()
    before = set(klaviyo.members)
    payloads = [{"email": f"u{who}@acme.io", "list_id": "L"} for who, _ in given_rows]
    deliver(KLAVIYO.actions["removeProfileFromList"], payloads, klaviyo, bulk=bulk)
    asked = {f"P{who}" for who, _ in given_rows}
    assert klaviyo.members == before - asked


@settings(max_examples=150, deadline=None)
@given(rows, faults, st.booleans(), st.booleans())
def test_consent_is_given_to_exactly_those_asked_for(
    given_rows: Rows, broken: list[Fault], points: bool, bulk: bool
) -> None:
    """A bad neighbour neither takes consent away from others nor gets any."""
    klaviyo = FakeKlaviyo(list(broken), points=points)
    payloads = [{"email": f"{BAD if bad else 'u'}{who}@acme.io"} for who, bad in given_rows]
    ends = deliver(KLAVIYO.actions["subscribeProfile"], payloads, klaviyo, bulk=bulk)
    assert [isinstance(each, Discard) for each in ends] == [bad for _, bad in given_rows]
    assert klaviyo.subscribed == {f"u{who}@acme.io" for who, bad in given_rows if not bad}


@settings(max_examples=150, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=5), rows, faults, st.booleans())
def test_nobody_is_unsubscribed_from_everything_unasked(
    members: list[bool], given_rows: Rows, broken: list[Fault], bulk: bool
) -> None:
    """Members leave the list they asked to leave; others keep what they have."""
    klaviyo = FakeKlaviyo(list(broken))
    for who, member in enumerate(members):
        id_ = klaviyo.save({"email": f"u{who}@acme.io"})
        klaviyo.members |= {id_} if member else set()
    payloads = [{"email": f"u{who}@acme.io", "list_id": "L"} for who, _ in given_rows]
    deliver(KLAVIYO.actions["unsubscribeProfile"], payloads, klaviyo, bulk=bulk)
    on_list = {f"u{who}@acme.io" for who, member in enumerate(members) if member}
    assert klaviyo.unsubscribed == on_list & {each["email"] for each in payloads}
    assert not klaviyo.globally
    assert not klaviyo.subscribed
