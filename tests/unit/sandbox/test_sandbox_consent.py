"""Consent: subscribing, confirming, unsubscribing, suppressing, deleting."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.sandbox.api import Api, data, errors, event, members

SUBSCRIBE = "/api/profile-subscription-bulk-create-jobs"
UNSUBSCRIBE = "/api/profile-subscription-bulk-delete-jobs"
SUPPRESS = "/api/profile-suppression-bulk-create-jobs"
UNSUPPRESS = "/api/profile-suppression-bulk-delete-jobs"


def subscription(
    *rows: dict[str, Any], news: str | None = None, verb: str = "create", **attributes: Any
) -> dict[str, Any]:
    """A (un)subscribe body of rows of profile attributes."""
    people = {"data": [{"type": "profile", "attributes": row} for row in rows]}
    body = data(f"profile-subscription-bulk-{verb}-job", {"profiles": people, **attributes})
    if news:
        body["data"]["relationships"] = {"list": {"data": {"type": "list", "id": news}}}
    return body


def email(address: str, consent: str = "SUBSCRIBED", **more: Any) -> dict[str, Any]:
    """A row about email marketing."""
    marketing = {"consent": consent, **more}
    return {"email": address, "subscriptions": {"email": {"marketing": marketing}}}


def consent(api: Api, address: str) -> dict[str, Any]:
    """What the profile with that address has consented to."""
    found: dict[str, Any] = next(
        each["consent"] for each in api.state()["profiles"] if each.get("email") == address
    )
    return found


def test_a_single_opt_in_list_subscribes_later_without_a_mail(api: Api) -> None:
    """Profile, membership and consent come after the answer; the source is kept."""
    news = api.list(opt_in_process="single_opt_in")
    body = subscription(email("a@acme.io"), news=news, custom_source="Shop")
    assert api.post(SUBSCRIBE, body, status=202) is None
    assert api.sandbox.bench.account().profiles.owner("email", "a@acme.io") is None
    api.clock.advance(1)
    state = api.state()
    assert consent(api, "a@acme.io") == {"email.marketing": "SUBSCRIBED"}
    assert state["lists"][0]["members"] == [state["profiles"][0]["id"]]
    assert state["mails"] == []
    shown = api.get("/api/profiles?additional-fields[profile]=subscriptions")["data"][0]
    marketing = shown["attributes"]["subscriptions"]["email"]["marketing"]
    assert marketing["custom_method_detail"] == "Shop"
    assert marketing["can_receive_email_marketing"] is True


def test_a_double_opt_in_list_asks_first(api: Api) -> None:
    """One mail; consent and membership wait for the confirmation."""
    news = api.list()
    api.post(SUBSCRIBE, subscription(email("a@acme.io"), news=news), status=202)
    api.clock.advance(1)
    assert consent(api, "a@acme.io") == {}
    assert [each["kind"] for each in api.state()["mails"]] == ["double_opt_in_email"]
    assert api.state()["lists"][0]["members"] == []
    assert api.sandbox.command("confirm", {"email": "a@acme.io"}) == {"confirmed": 1}
    assert consent(api, "a@acme.io") == {"email.marketing": "SUBSCRIBED"}
    assert len(api.state()["lists"][0]["members"]) == 1
    api.post(SUBSCRIBE, subscription(email("a@acme.io"), news=news), status=202)
    api.clock.advance(1)
    assert len(api.state()["mails"]) == 1


def test_without_a_list_the_account_decides(api: Api) -> None:
    """Double opt-in unless the switch says otherwise."""
    api.post(SUBSCRIBE, subscription(email("a@acme.io")), status=202)
    api.switches.update({"account_opt_in": "single_opt_in"})
    api.post(SUBSCRIBE, subscription(email("b@acme.io")), status=202)
    api.clock.advance(1)
    assert consent(api, "a@acme.io") == {}
    assert consent(api, "b@acme.io") == {"email.marketing": "SUBSCRIBED"}


def test_a_historical_import_needs_a_past_time_and_asks_nobody(api: Api) -> None:
    """Without the flag a time is refused; with it none or a future one is."""
    past, future = "2024-05-01T00:00:00Z", "2030-01-01T00:00:00Z"
    news = api.list()
    body = subscription(email("a@acme.io", consented_at=past), news=news)
    api.post(SUBSCRIBE, body, status=400)
    for row in (email("a@acme.io"), email("a@acme.io", consented_at=future)):
        body = subscription(row, news=news, historical_import=True)
        ((detail, place),) = errors(api.post(SUBSCRIBE, body, status=400))
        assert detail.startswith("Historical email subscription does not have a valid")
        assert place.endswith("/0/attributes/subscriptions/email/marketing/consented_at")
    body = subscription(email("a@acme.io", consented_at=past), news=news, historical_import=True)
    api.post(SUBSCRIBE, body, status=202)
    api.clock.advance(1)
    assert consent(api, "a@acme.io") == {"email.marketing": "SUBSCRIBED"}
    assert api.state()["mails"] == []


def test_subscribing_lifts_suppressions_but_not_bounces(api: Api) -> None:
    """Those of a person's own doing go, a hard bounce stays."""
    api.profile(email="a@acme.io")
    api.sandbox.command(
        "consent",
        {
            "email": "a@acme.io",
            "unsubscribe": ["email.marketing"],
            "suppress": ["USER_SUPPRESSED", "SPAM_COMPLAINT", "HARD_BOUNCE"],
        },
    )
    assert len(consent(api, "a@acme.io")["suppressions"]) == 4
    api.switches.update({"account_opt_in": "single_opt_in"})
    api.post(SUBSCRIBE, subscription(email("a@acme.io")), status=202)
    api.clock.advance(1)
    held = consent(api, "a@acme.io")
    assert held == {"email.marketing": "SUBSCRIBED", "suppressions": ["HARD_BOUNCE"]}


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ({**email("a@acme.io"), "first_name": "Ann"}, "/first_name"),
        ({"email": "a@acme.io", "subscriptions": {}}, "/subscriptions"),
        ({"email": "a@acme.io"}, "/subscriptions"),
        (email("a@acme.io", consent="UNSUBSCRIBED"), "/subscriptions/email/marketing/consent"),
        ({"phone_number": "+12345678901", **{k: v for k, v in email("").items() if k != "email"}},
         "/subscriptions/email"),
        (email("nope"), "/email"),
        ({"phone_number": "12", "subscriptions": {"sms": {"marketing": {"consent": "SUBSCRIBED"}}}},
         "/phone_number"),
    ],
)  # fmt: skip
def test_a_bad_row_refuses_the_whole_job(api: Api, row: dict[str, Any], place: str) -> None:
    """With its place."""
    body = subscription(email("ok@acme.io"), row)
    found = errors(api.post(SUBSCRIBE, body, status=400))
    assert [pointer for _, pointer in found] == [
        f"/data/attributes/profiles/data/1/attributes{place}"
    ]
    api.clock.advance(1)
    assert api.state()["profiles"] == []


def test_how_many_a_job_takes(api: Api) -> None:
    """1000 to subscribe, 100 to unsubscribe; the list must exist."""
    rows = [email(f"p{n}@acme.io") for n in range(1001)]
    api.post(SUBSCRIBE, subscription(*rows), status=400)
    api.post(SUBSCRIBE, subscription(*rows[:1000]), status=202)
    rows = [email(f"p{n}@acme.io", "UNSUBSCRIBED") for n in range(101)]
    api.post(UNSUBSCRIBE, subscription(*rows, verb="delete"), status=400)
    api.post(UNSUBSCRIBE, subscription(*rows[:100], verb="delete"), status=202)
    found = errors(api.post(SUBSCRIBE, subscription(email("a@acme.io"), news="NOLIST"), status=400))
    assert found == [("List not found: NOLIST", "/data/relationships/list/data/id")]


def test_sms_needs_a_sending_number(api: Api) -> None:
    """Phone-only profiles are refused without SMS; a foreign region always is."""
    sms = {"sms": {"marketing": {"consent": "SUBSCRIBED"}}}
    row = {"phone_number": "+12345678901", "subscriptions": sms}
    api.post(SUBSCRIBE, subscription(row), status=202)
    api.switches.update({"sms_prefixes": "+44"})
    api.post(SUBSCRIBE, subscription(row), status=400)
    api.switches.update({"sms_prefixes": "", "sms_set_up": False})
    ((detail, _),) = errors(api.post(SUBSCRIBE, subscription(row), status=400))
    assert detail == "SMS configuration is required to subscribe phone number only profiles."


def test_unsubscribing_a_member_concerns_the_list_a_stranger_everything(api: Api) -> None:
    """Whoever is not on the given list is unsubscribed globally."""
    news = api.list(opt_in_process="single_opt_in")
    api.post(SUBSCRIBE, subscription(email("in@acme.io"), news=news), status=202)
    api.switches.update({"account_opt_in": "single_opt_in"})
    api.post(SUBSCRIBE, subscription(email("out@acme.io")), status=202)
    api.clock.advance(1)
    rows = [email(f"{who}@acme.io", "UNSUBSCRIBED") for who in ("in", "out", "stranger")]
    api.post(UNSUBSCRIBE, subscription(*rows, news=news, verb="delete"), status=202)
    api.clock.advance(1)
    assert consent(api, "in@acme.io") == {
        "email.marketing": "SUBSCRIBED",
        "list_suppressions": [[news, "UNSUBSCRIBE"]],
    }
    assert consent(api, "out@acme.io") == {
        "email.marketing": "UNSUBSCRIBED",
        "suppressions": ["UNSUBSCRIBE"],
    }
    assert api.state()["lists"][0]["members"] == []
    assert len(api.state()["profiles"]) == 2


def suppression(*addresses: str, verb: str = "create", **relations: Any) -> dict[str, Any]:
    """A (un)suppress body, of addresses or of a list."""
    kind = f"profile-suppression-bulk-{verb}-job"
    if relations:
        return data(kind, {}, relationships=relations)
    rows = [{"type": "profile", "attributes": {"email": each}} for each in addresses]
    return data(kind, {"profiles": {"data": rows}})


def test_suppression_jobs_are_polled_and_count_what_they_skipped(api: Api) -> None:
    """Unsuppressing lifts only what was suppressed this way."""
    api.profile(email="a@acme.io")
    api.sandbox.command("consent", {"email": "a@acme.io", "suppress": ["HARD_BOUNCE"]})
    body = suppression("a@acme.io", "new@acme.io")
    job = api.post(SUPPRESS, body, status=202)["data"]
    assert job["attributes"]["status"] == "queued"
    api.clock.advance(1)
    done = api.get(f"{SUPPRESS}/{job['id']}")["data"]["attributes"]
    assert (done["status"], done["completed_count"], done["skipped_count"]) == ("complete", 2, 0)
    api.post(SUPPRESS, suppression("a@acme.io"), status=202)
    api.post(UNSUPPRESS, suppression("a@acme.io", "x@acme.io", verb="delete"), status=202)
    api.clock.advance(1)
    (lift,) = api.get(f"{UNSUPPRESS}?sort=-created")["data"]
    assert lift["attributes"]["skipped_count"] == 1
    assert api.get(f"{UNSUPPRESS}/{lift['id']}")
    assert len(api.get(f"{SUPPRESS}?filter=equals(status,'complete')")["data"]) == 2
    assert consent(api, "a@acme.io") == {"suppressions": ["HARD_BOUNCE"]}
    assert consent(api, "new@acme.io") == {"suppressions": ["USER_SUPPRESSED"]}


def test_a_whole_list_is_suppressed(api: Api) -> None:
    """Or at most 100 addresses, but not both."""
    ann, news = api.profile(email="a@acme.io"), api.list()
    api.post(f"/api/lists/{news}/relationships/profiles", members(ann), status=204)
    wanted = {"data": {"type": "list", "id": news}}
    job = api.post(SUPPRESS, suppression(list=wanted), status=202)["data"]
    assert job["attributes"]["total_count"] == 1
    api.clock.advance(1)
    assert consent(api, "a@acme.io") == {"suppressions": ["USER_SUPPRESSED"]}
    both = suppression("a@acme.io")
    both["data"]["relationships"] = {"list": wanted}
    api.post(SUPPRESS, both, status=400)
    many = suppression(*[f"p{n}@acme.io" for n in range(101)])
    api.post(SUPPRESS, many, status=400)


def deletion(identifier: str | None = None, **attributes: Any) -> dict[str, Any]:
    """A data privacy body."""
    person: dict[str, Any] = {"type": "profile", "attributes": attributes}
    if identifier:
        person["id"] = identifier
    return data("data-privacy-deletion-job", {"profile": {"data": person}})


def test_deletion_takes_exactly_one_identifier(api: Api) -> None:
    """The profile goes later, its events stay without anyone."""
    path = "/api/data-privacy-deletion-jobs"
    ann = api.profile(email="a@acme.io", phone_number="+12345678901")
    api.post("/api/events", event({"email": "a@acme.io"}), status=202)
    for body in (deletion(), deletion(ann, email="a@acme.io"), deletion(email="nope")):
        api.post(path, body, status=400)
    api.clock.advance(1)
    api.post(path, deletion(email="x@acme.io"), status=404)
    assert api.post(path, deletion(email="A@acme.io"), status=202) is None
    api.get(f"/api/profiles/{ann}")
    api.clock.advance(1)
    api.get(f"/api/profiles/{ann}", status=404)
    assert [each["profile"] for each in api.state()["events"]] == [None]
    assert api.get("/api/events?filter=has(profile)")["data"] == []
