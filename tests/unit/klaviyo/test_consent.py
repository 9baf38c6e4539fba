"""Consent: given by one action only, taken back from no more than was asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.delivery import Delivered, Discard, Dropped, Outcome, Retry, Submitted
from destination.errors import Ended
from destination.klaviyo import KLAVIYO
from destination.sending import Request, Response
from tests.unit.klaviyo.full_payloads import PAYLOADS, Recorder
from tests.unit.klaviyo.klaviyo_script import NOW, Script, account, answer, refusal, rows_of

SUBSCRIBE = KLAVIYO.actions["subscribeProfile"]
UNSUBSCRIBE = KLAVIYO.actions["unsubscribeProfile"]
TAKEN = answer(202)
MAIL, PHONE = "ana@acme.io", "+14155552671"


def prepared(action: Any, payload: dict[str, Any]) -> dict[str, Any]:
    """The payload as it is sent, or the code of why not."""
    try:
        ready: dict[str, Any] = action.prepare(payload, NOW)
    except Ended as ended:
        return {"code": getattr(ended.outcome, "code", "")}
    return ready


def perform(action: Any, payloads: Sequence[dict[str, Any]], send: Any) -> list[Outcome]:
    """The outcomes of the bulk form."""
    outcomes: list[Outcome] = action.batch.perform(
        [action.prepare(each, NOW) for each in payloads], account(send)
    )
    return outcomes


class Members:
    """A Klaviyo with one list, whose members have these identifiers."""

    def __init__(self, *members: dict[str, str], then: Response = TAKEN) -> None:
        self.members = members
        self.then = then
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Response:
        """The members a look-up asks for; any other request is taken."""
        self.requests.append(request)
        if request.operation != "get_profiles_for_list":
            return self.then
        field, _, values = request.query["filter"].removeprefix("any(").partition(",")
        wanted = json.loads(values.removesuffix(")"))
        found = [
            {"type": "profile", "id": str(place), "attributes": each}
            for place, each in enumerate(self.members)
            if each.get(field) in wanted
        ]
        return answer(200, {"data": found})

    @property
    def sent(self) -> list[dict[str, Any]]:
        """The profiles of the last request that changed something."""
        changing = [each for each in self.requests if each.method == "POST"]
        return [row["attributes"] for row in rows_of(changing[-1])] if changing else []


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({}, "missing_identifier"),
        ({"external_id": "7"}, "missing_identifier"),
        ({"phone_number": "12"}, "invalid_phone_number"),
        ({"email": MAIL, "decided_at": "soon"}, "invalid_time"),
        ({"email": MAIL, "historical_import": True}, "missing_consented_at"),
        ({"email": MAIL, "historical_import": True, "consented_at": "soon"}, "invalid_time"),
    ],
)
def test_what_cannot_be_subscribed_is_named_before_sending(
    payload: dict[str, Any], code: str
) -> None:
    """And not reported as delivered."""
    assert prepared(SUBSCRIBE, payload) == {"code": code}


def test_consented_at_goes_only_with_a_historical_import() -> None:
    """Elsewhere Klaviyo refuses it."""
    now = prepared(SUBSCRIBE, {"email": MAIL, "consented_at": "2024-01-01"})
    assert "consented_at" not in now
    then = prepared(
        SUBSCRIBE, {"email": MAIL, "consented_at": "2024-01-01", "historical_import": True}
    )
    assert then["consented_at"] == "2024-01-01T00:00:00.000Z"


def test_list_source_and_history_belong_to_the_request() -> None:
    """Texts that only look alike when joined are told apart, and no row decides for another."""
    assert SUBSCRIBE.batch
    payloads: list[dict[str, Any]] = [
        {"email": MAIL, "list_id": "L", "custom_source": "AB"},
        {"email": MAIL, "list_id": "LA", "custom_source": "B"},
        {
            "email": MAIL,
            "list_id": "LA",
            "custom_source": "B",
            "historical_import": True,
            "consented_at": "2024-01-01",
        },
        {"email": MAIL, "custom_source": "B", "list_name": "LA"},
        {"email": MAIL},
    ]
    groups = {SUBSCRIBE.batch.group(prepared(SUBSCRIBE, each)) for each in payloads}
    assert len(groups) == len(payloads)


def test_a_thousand_people_are_subscribed_by_one_request() -> None:
    """Klaviyo takes as many; 202 is all it ever says."""
    script = Script(TAKEN)
    outcomes = perform(SUBSCRIBE, [{"email": f"{n}@acme.io"} for n in range(1000)], script)
    assert outcomes == [Delivered("accepted_by_klaviyo")] * 1000
    assert len(script.requests) == 1


def test_a_person_whose_phone_is_refused_is_still_subscribed_by_mail() -> None:
    """The refused half is a dead letter that says what was done."""
    refused = refusal(
        400, "/data/attributes/profiles/data/0/attributes/phone_number", detail="SMS region"
    )
    script = Script(refused, refused, TAKEN, TAKEN)
    both, other = perform(
        SUBSCRIBE, [{"email": MAIL, "phone_number": PHONE}, {"email": "bo@acme.io"}], script
    )
    assert isinstance(both, Discard)
    assert (both.code, both.field) == ("sms_refused", "phone_number")
    assert isinstance(other, Delivered)
    (row,) = rows_of(script.requests[-1])
    assert row["attributes"] == {
        "email": MAIL,
        "subscriptions": {"email": {"marketing": {"consent": "SUBSCRIBED"}}},
    }


def test_an_ignored_phone_number_is_noted_where_there_was_one() -> None:
    """Klaviyo's header names no row of the request."""
    script = Script(answer(202, x_klaviyo_partial_failure="phone_number"))
    rows = [{"email": MAIL, "phone_number": PHONE}, {"email": "bo@acme.io"}]
    notes = [getattr(each, "note", None) for each in perform(SUBSCRIBE, rows, script)]
    assert notes == ["phone_number_ignored", ""]


@pytest.mark.parametrize("response", [answer(429), answer(500), refusal(404)])
def test_a_refusal_of_the_request_is_everybodys(response: Response) -> None:
    """Nobody is reported as subscribed."""
    outcomes = perform(SUBSCRIBE, [{"email": MAIL, "list_id": "L"}], Script(response))
    assert [type(each) for each in outcomes] == [Retry]


def test_only_subscribing_sends_the_word() -> None:
    """No other action can give consent."""
    for name, action in KLAVIYO.actions.items():
        script = Recorder()
        payload = action.prepare(PAYLOADS[name], NOW)
        action.perform(payload, account(script))
        if action.batch:
            action.batch.perform([payload], account(script))
        bodies = [json.dumps(each.json) for each in script.requests]
        assert any('"SUBSCRIBED"' in each for each in bodies) is (name == "subscribeProfile")
        assert any('"UNSUBSCRIBED"' in each for each in bodies) is (name == "unsubscribeProfile")


def test_whoever_is_not_on_the_list_is_not_unsubscribed_from_everything() -> None:
    """Klaviyo would do that."""
    klaviyo = Members({"email": MAIL})
    on, off = perform(
        UNSUBSCRIBE,
        [{"email": "Ana@acme.io".lower(), "list_id": "L"}, {"email": "x@acme.io", "list_id": "L"}],
        klaviyo,
    )
    assert on == Delivered("accepted_by_klaviyo")
    assert isinstance(off, Dropped)
    assert off.code == "not_on_list"
    assert [each["email"] for each in klaviyo.sent] == [MAIL]


def test_nobody_on_the_list_means_no_request() -> None:
    """Only the look-up."""
    klaviyo = Members()
    (outcome,) = perform(UNSUBSCRIBE, [{"email": MAIL, "list_id": "L"}], klaviyo)
    assert isinstance(outcome, Dropped)
    assert [each.method for each in klaviyo.requests] == ["GET"]


def test_an_identifier_that_is_not_on_the_list_is_left_out() -> None:
    """It may be another person's, who would lose everything."""
    klaviyo = Members({"email": MAIL})
    (outcome,) = perform(
        UNSUBSCRIBE, [{"email": MAIL, "phone_number": PHONE, "list_id": "L"}], klaviyo
    )
    assert outcome == Delivered("accepted_by_klaviyo", "phone_number_not_on_list")
    assert klaviyo.sent == [
        {"email": MAIL, "subscriptions": {"email": {"marketing": {"consent": "UNSUBSCRIBED"}}}}
    ]


@pytest.mark.parametrize("extra", [{}, {"list_id": "L", "unsubscribe_globally": True}])
def test_from_everything_only_when_asked(extra: dict[str, Any]) -> None:
    """Without a list, or with the field that says so; then nobody is looked up."""
    klaviyo = Members()
    (outcome,) = perform(UNSUBSCRIBE, [{"email": MAIL, "phone_number": PHONE, **extra}], klaviyo)
    assert isinstance(outcome, Delivered)
    assert [each.method for each in klaviyo.requests] == ["POST"]
    (row,) = klaviyo.sent
    assert row["subscriptions"]["sms"] == {
        "marketing": {"consent": "UNSUBSCRIBED"},
        "transactional": {"consent": "UNSUBSCRIBED"},
    }


def test_a_list_that_no_name_finds_unsubscribes_nobody() -> None:
    """An empty list id would have meant everything."""
    script = Script(answer(200, {"data": []}))
    (outcome,) = perform(UNSUBSCRIBE, [{"email": MAIL, "list_name": "News"}], script)
    assert isinstance(outcome, Dropped)
    assert [each.method for each in script.requests] == ["GET"]


@pytest.mark.parametrize("response", [answer(500), answer(429), refusal(404), answer(200, "x")])
def test_a_look_up_that_fails_unsubscribes_nobody(response: Response) -> None:
    """Not knowing is not membership."""
    script = Script(response)
    (outcome,) = perform(UNSUBSCRIBE, [{"email": MAIL, "list_id": "L"}], script)
    assert isinstance(outcome, Retry | Discard)
    assert [each.method for each in script.requests] == ["GET"]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), max_size=12))
def test_nobody_off_the_list_is_ever_sent(people: list[tuple[str, bool]]) -> None:
    """Whatever mixture of members and others a batch holds."""
    members = {f"{name}@acme.io" for name, member in people if member}
    klaviyo = Members(*({"email": each} for each in sorted(members)))
    payloads = [{"email": f"{name}@acme.io", "list_id": "L"} for name, _ in people]
    outcomes = perform(UNSUBSCRIBE, payloads, klaviyo) if payloads else []
    assert {each["email"] for each in klaviyo.sent} == members
    for payload, outcome in zip(payloads, outcomes, strict=True):
        assert isinstance(outcome, Delivered) == (payload["email"] in members)


def test_suppression_sends_each_address_once() -> None:
    """By e-mail only, a hundred to a request."""
    suppress = KLAVIYO.actions["suppressProfile"]
    script = Script(answer(202, {"data": {"id": "J"}}))
    outcomes = perform(suppress, [{"email": f"{n % 150}@acme.io"} for n in range(300)], script)
    assert outcomes == [Submitted("J", {"at": int(NOW)})] * 300
    assert [len(list(rows_of(each))) for each in script.requests] == [100, 50]
