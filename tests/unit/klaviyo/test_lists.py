"""Lists by name, looking people up, and ending memberships."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.delivery import Delivered, Discard, Dropped, Outcome, Retry
from destination.errors import Ended
from destination.klaviyo import KLAVIYO
from destination.klaviyo.lists import (
    about_list,
    all_lists,
    find_or_create_list,
    get_list,
    list_id,
)
from destination.klaviyo.people import find
from destination.klaviyo.requests import any_of, next_cursor
from destination.klaviyo.verdict import verdict
from destination.sending import Request, Response
from tests.unit.klaviyo.klaviyo_script import NOW, Script, account, answer, refusal

REMOVE = KLAVIYO.actions["removeProfileFromList"]


def a_list(id_: str, name: str, created: str = "2024") -> dict[str, Any]:
    """A list resource."""
    return {"type": "list", "id": id_, "attributes": {"name": name, "created": created}}


def page(data: Sequence[Any], cursor: str = "") -> Response:
    """A page, with a link to the next one if there is a cursor."""
    link = f"https://elsewhere.example/api?page%5Bcursor%5D={cursor}" if cursor else None
    return answer(200, {"data": list(data), "links": {"next": link}})


class Directory:
    """A Klaviyo with profiles and one list, that pages and refuses as the real one does."""

    def __init__(self, profiles: dict[str, dict[str, str]], size: int = 100) -> None:
        self.profiles = profiles
        self.size = size
        self.removed: list[str] = []
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Response:
        """A page of profiles, or the end of memberships."""
        self.requests.append(request)
        if request.method == "DELETE":
            ids = [each["id"] for each in request.json["data"]]
            unknown = [each for each in ids if each not in self.profiles]
            if unknown:
                return refusal(400, "/data/", detail=f"Invalid profile IDs: {', '.join(unknown)}")
            self.removed += ids
            return answer(204)
        field, _, values = request.query["filter"].removeprefix("any(").partition(",")
        wanted = json.loads(values.removesuffix(")"))
        if len(wanted) > 100:
            return refusal(400)
        hits = [
            {"type": "profile", "id": id_, "attributes": who}
            for id_, who in self.profiles.items()
            if who.get(field) in wanted
        ]
        start = int(request.query.get("page[cursor]", "0"))
        end = start + min(self.size, int(request.query["page[size]"]))
        return page(hits[start:end], str(end) if end < len(hits) else "")


def remove(payloads: Sequence[dict[str, Any]], klaviyo: Any) -> list[Outcome]:
    """The outcomes of the bulk form."""
    assert REMOVE.batch
    ready = [REMOVE.prepare({"list_id": "L", **each}, NOW) for each in payloads]
    return REMOVE.batch.perform(ready, account(klaviyo))


def test_everybody_of_a_thousand_is_found_and_removed() -> None:
    """Look-ups are cut into hundreds and read to the last page."""
    klaviyo = Directory({f"P{n}": {"email": f"u{n}@acme.io"} for n in range(1000)}, size=7)
    outcomes = remove([{"email": f"u{n}@acme.io"} for n in range(1000)], klaviyo)
    assert outcomes == [Delivered()] * 1000
    assert sorted(klaviyo.removed) == sorted(klaviyo.profiles)


def test_whoever_is_unknown_is_reported_so() -> None:
    """Nothing is to be done for them, and nobody else is touched."""
    klaviyo = Directory({"P1": {"email": "ana@acme.io"}, "P2": {"email": "bo@acme.io"}})
    outcomes = remove(
        [{"email": "Ana@acme.io"}, {"email": "ana@acme.io"}, {"email": "x@acme.io"}], klaviyo
    )
    assert [getattr(each, "code", "") for each in outcomes[1:]] == [
        "delivered",
        "profile_not_found",
    ]
    assert klaviyo.removed == ["P1"]


def test_all_identifiers_are_looked_up_in_segments_order() -> None:
    """External id, e-mail, phone number; each value once."""
    klaviyo = Directory({"P1": {"external_id": "7"}, "P2": {"phone_number": "+14155552671"}})
    person = {"external_id": "7", "email": "a@acme.io", "phone_number": "+14155552671"}
    assert remove([person, person], klaviyo) == [Delivered(), Delivered()]
    assert [each.query.get("filter") for each in klaviyo.requests[:3]] == [
        'any(external_id,["7"])',
        'any(email,["a@acme.io"])',
        'any(phone_number,["+14155552671"])',
    ]
    assert sorted(klaviyo.removed) == ["P1", "P2"]


@pytest.mark.parametrize(
    "value", ['x","y', "a)", "&page[size]=100", "back\\slash", "new\nline", "ü+#?"]
)
def test_no_value_reaches_out_of_its_literal(value: str) -> None:
    """Other people are untouched, whatever an identifier holds."""
    klaviyo = Directory({"P1": {"external_id": value}, "P2": {"external_id": "y"}})
    assert remove([{"external_id": value}], klaviyo) == [Delivered()]
    assert klaviyo.removed == ["P1"]


@given(st.lists(st.text(), min_size=1))
def test_a_filter_can_be_read_back(values: list[str]) -> None:
    """Its literals are JSON texts."""
    text = any_of("email", values)
    assert json.loads(text.removeprefix("any(email,").removesuffix(")")) == values


def test_long_values_make_short_lists() -> None:
    """A request line stays within what servers take."""
    klaviyo = Directory({})
    remove([{"external_id": f"{n}" + "ü" * 200} for n in range(40)], klaviyo)
    assert len(klaviyo.requests) > 1
    assert all(len(each.query["filter"].encode()) < 6_000 for each in klaviyo.requests)


def test_a_profile_that_vanished_meanwhile_costs_no_neighbour_the_removal() -> None:
    """Klaviyo refuses a whole request for one unknown id."""
    klaviyo = Directory({f"P{n}": {"email": f"u{n}@acme.io"} for n in range(8)})
    profiles = dict(klaviyo.profiles)

    def vanishing(request: Request) -> Response:
        if request.method == "DELETE":
            klaviyo.profiles.pop("P3", None)
        return klaviyo(request)

    outcomes = remove([{"email": who["email"]} for who in profiles.values()], vanishing)
    assert outcomes == [Delivered()] * 8
    assert sorted(klaviyo.removed) == sorted(klaviyo.profiles)


def test_a_value_that_klaviyo_will_not_look_up_is_the_only_one_refused() -> None:
    """Its neighbours in the look-up are found all the same."""
    klaviyo = Directory({"P1": {"phone_number": "+14155552671"}})

    def picky(request: Request) -> Response:
        return refusal(400) if '"+123"' in request.query.get("filter", "") else klaviyo(request)

    bad, good = remove([{"phone_number": "+123"}, {"phone_number": "+14155552671"}], picky)
    assert isinstance(bad, Discard)
    assert good == Delivered()


def test_a_person_with_a_refused_identifier_stays_until_that_is_corrected() -> None:
    """A delivery is done whole or not at all; whoever shares the batch is not held up."""
    klaviyo = Directory({"P1": {"email": "a@acme.io"}, "P2": {"email": "b@acme.io"}})

    def picky(request: Request) -> Response:
        return refusal(400) if "+123" in request.query.get("filter", "") else klaviyo(request)

    rows = [{"email": "a@acme.io", "phone_number": "+123"}, {"email": "b@acme.io"}]
    bad, good = remove(rows, picky)
    assert isinstance(bad, Discard)
    assert good == Delivered()
    assert klaviyo.removed == ["P2"]


@pytest.mark.parametrize("response", [answer(429), answer(500), answer(200, "not json")])
def test_a_look_up_that_fails_makes_all_rows_wait(response: Response) -> None:
    """And stops at once."""
    script = Script(response)
    outcomes = remove([{"email": f"{n}@acme.io"} for n in range(300)], script)
    assert all(isinstance(each, Retry) for each in outcomes)
    assert len(script.requests) == 1


def test_an_unknown_list_is_waited_for() -> None:
    """Nothing but rows for the same list waits with it."""
    who = {"type": "profile", "id": "P", "attributes": {"email": "a@acme.io"}}
    (outcome,) = remove([{"email": "a@acme.io"}], Script(page([who]), refusal(404)))
    assert isinstance(outcome, Retry)
    assert (outcome.code, outcome.aside) == ("list_not_found", "list:L")


def test_a_refusal_that_names_no_list_is_no_missing_list() -> None:
    """Without a list, or with other words, the answer is what it is."""
    gone = verdict(refusal(404), NOW)
    assert about_list(gone, {}) is gone
    bad = verdict(refusal(400, detail="Invalid profile IDs: X"), NOW)
    assert about_list(bad, {"list_id": "L"}) is bad


def test_removal_from_a_list_that_no_name_finds_makes_no_list() -> None:
    """Nobody is on a list that does not exist."""
    script = Script(page([]))
    assert REMOVE.batch
    ready = REMOVE.prepare({"email": "a@acme.io", "list_name": "News"}, NOW)
    (outcome,) = REMOVE.batch.perform([ready], account(script))
    assert isinstance(outcome, Dropped)
    assert outcome.code == "list_not_found"
    assert script.asked == [("GET", "/api/lists")]


def test_a_list_is_found_by_its_whole_name_before_one_is_made() -> None:
    """The oldest of several; other pages are looked through."""
    script = Script(
        page([a_list("X", "News 2")], "c"),
        page([a_list("B", "News", "2025"), a_list("A", "News", "2024")]),
    )
    assert find_or_create_list("News", account(script)) == "A"
    assert [each.query.get("filter") for each in script.requests] == ['equals(name,"News")'] * 2
    assert script.requests[1].query["page[cursor]"] == "c"


def test_a_list_that_nobody_has_is_made_once_for_all() -> None:
    """The account remembers it."""
    script = Script(page([]), answer(201, {"data": a_list("N", "News")}))
    one = account(script)
    assert [list_id({"list_name": "News"}, one) for _ in range(3)] == ["N"] * 3
    assert script.asked == [("GET", "/api/lists"), ("POST", "/api/lists")]


def test_the_lists_of_an_account_are_read_to_the_last_page() -> None:
    """Ten to a page."""
    script = Script(page([a_list("A", "One")], "c"), page([a_list("B", "Two")]))
    assert all_lists(account(script)) == [("A", "One"), ("B", "Two")]


def test_one_list_is_read_by_its_id() -> None:
    """An unknown id says so."""
    found = answer(200, {"data": a_list("A", "One")})
    assert get_list("A", account(Script(found))) == ("A", "One")
    with pytest.raises(Ended) as ended:
        get_list("GONE", account(Script(refusal(404))))
    assert getattr(ended.value.outcome, "code", "") == "list_not_found"


@pytest.mark.parametrize(
    "links", [None, [], {}, {"next": None}, {"next": 5}, {"next": ""}, {"next": "http://[::1"}]
)
def test_no_next_page_is_the_last_page(links: Any) -> None:
    """Whatever stands in its place."""
    assert next_cursor(answer(200, {"data": [], "links": links})) == ""


def test_another_list_than_was_asked_for_is_none() -> None:
    """Whoever uses it would add people to somebody else's list."""
    script = Script(answer(200, {"data": {"type": "list", "id": "OTHER", "attributes": {}}}))
    with pytest.raises(Ended) as ended:
        get_list("LA", account(script))
    assert getattr(ended.value.outcome, "code", "") == "list_not_found"


def test_nobody_to_look_up_asks_nothing() -> None:
    """No identifiers, no request."""
    assert find([], account(Script(answer(500)))).profiles == ()
