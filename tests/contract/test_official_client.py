"""Klaviyo's own client does its ordinary work against the sandbox, as a second opinion on it.

Its models are strict: an answer of a wrong shape is an error inside the client.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from klaviyo_api import KlaviyoAPI
from openapi_client.exceptions import ApiException

from tests.contract.openapi import Contract, assert_requests_valid
from tests.contract.server import sandbox_process


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """The address of a sandbox of its own."""
    with sandbox_process("--no-limits") as (url, _):
        yield url


@pytest.fixture
def client(base: str) -> Any:
    """The official client on an empty sandbox."""
    control(base, "reset", {})
    return KlaviyoAPI("pk_official", test_host=base, max_retries=1, max_delay=2)


def control(base: str, command: str, body: Any) -> Any:
    """Do a control command."""
    return httpx.post(f"{base}/sandbox/{command}", json=body).raise_for_status().json()


def state(base: str) -> Any:
    """All that the sandbox holds."""
    return httpx.get(f"{base}/sandbox/state").json()


def pages(call: Callable[..., Any]) -> list[Any]:
    """All items of a collection, following links.next as a user of the client would."""
    items: list[Any] = []
    cursor = None
    while True:
        answer = call(page_cursor=cursor) if cursor else call()
        items += answer.data
        if not answer.links or not answer.links.next:
            return items
        cursor = answer.links.next


def person(**attributes: Any) -> dict[str, Any]:
    """A profile's request body."""
    return {"data": {"type": "profile", "attributes": attributes}}


def test_profiles(client: Any, base: str) -> None:
    """Create, conflict, read, update, upsert."""
    created = client.Profiles.create_profile(person(email="a@acme.io", first_name="Ann"))
    with pytest.raises(ApiException, match="409") as conflict:
        client.Profiles.create_profile(person(email="a@acme.io"))
    error = json.loads(conflict.value.body or "")["errors"][0]
    assert error["meta"]["duplicate_profile_id"] == created.data.id
    read = client.Profiles.get_profile(created.data.id, additional_fields_profile=["subscriptions"])
    assert read.data.attributes.subscriptions.email.marketing.consent == "NEVER_SUBSCRIBED"
    body = person(title="Dr", location={"city": "Bonn", "latitude": 50.7})
    body["data"]["id"] = created.data.id
    assert client.Profiles.update_profile(created.data.id, body).data.attributes.title == "Dr"
    upserted = client.Profiles.create_or_update_profile(person(email="a@acme.io", last_name="Lee"))
    assert upserted.data.id == created.data.id
    assert upserted.data.attributes.location.city == "Bonn"
    found = client.Profiles.get_profiles(filter='equals(email,"a@acme.io")')
    assert [each.id for each in found.data] == [created.data.id]


def test_paging(client: Any, base: str) -> None:
    """The client sends the whole next link, or its cursor with a leading equals sign."""
    rows = [{"email": f"p{number:03}@acme.io"} for number in range(250)]
    control(base, "seed", {"profiles": rows})
    found = pages(lambda **more: client.Profiles.get_profiles(page_size=100, sort="email", **more))
    assert [each.attributes.email for each in found] == [row["email"] for row in rows]
    link = client.Profiles.get_profiles(page_size=20).links.next
    cursor = parse_qs(urlsplit(link).query)["page[cursor]"][0]
    assert len(client.Profiles.get_profiles(page_cursor=cursor).data) == 20


def test_lists_and_members(client: Any, base: str) -> None:
    """Create, add, read in pages, remove, delete."""
    rows = [{"email": f"p{number:02}@acme.io"} for number in range(30)]
    ids = control(base, "seed", {"profiles": rows})["profiles"]
    attributes = {"name": "News", "opt_in_process": "single_opt_in"}
    news = client.Lists.create_list({"data": {"type": "list", "attributes": attributes}}).data.id
    members = {"data": [{"type": "profile", "id": each} for each in ids]}
    client.Lists.add_profiles_to_list(news, members)
    found = pages(lambda **more: client.Lists.get_profiles_for_list(news, **more))
    assert [each.id for each in found] == ids
    client.Lists.remove_profiles_from_list(news, {"data": members["data"][:29]})
    assert [each.id for each in client.Lists.get_profile_ids_for_list(news).data] == ids[29:]
    shown = client.Lists.get_list(news, additional_fields_list=["profile_count"])
    assert shown.data.attributes.profile_count == 1
    renamed = {"data": {"type": "list", "id": news, "attributes": {"name": "Old"}}}
    assert client.Lists.update_list(news, renamed).data.attributes.name == "Old"
    assert len(client.Lists.get_lists(filter='equals(name,["Old"])').data) == 1
    client.Lists.delete_list(news)
    assert client.Lists.get_lists().data == []


def test_events(client: Any, base: str) -> None:
    """One, many, and reading them back with their metric and profile."""
    metric = {"data": {"type": "metric", "attributes": {"name": "Placed Order"}}}
    event = {"properties": {"OrderId": "1"}, "unique_id": "1", "value": 9.5, "metric": metric}
    owner = {"profile": {"data": {"type": "profile", "attributes": {"email": "a@acme.io"}}}}
    client.Events.create_event({"data": {"type": "event", "attributes": {**event, **owner}}})
    more = [{"type": "event", "attributes": {**event, "unique_id": str(n)}} for n in range(1, 6)]
    group = {
        "type": "event-bulk-create",
        "attributes": {**owner, "events": {"data": more}},
    }
    attributes = {"events-bulk-create": {"data": [group]}}
    job = {"data": {"type": "event-bulk-create-job", "attributes": attributes}}
    client.Events.bulk_create_events(job)
    control(base, "advance", {"seconds": 1})
    found = client.Events.get_events(include=["metric", "profile"], sort="-datetime", page_size=50)
    assert len(found.data) == 5
    assert found.data[0].attributes.event_properties["$value"] == 9.5
    (name,) = {each.attributes.name for each in client.Metrics.get_metrics().data}
    assert name == "Placed Order"
    client.Events.get_event(found.data[0].id)
    client.Events.get_metric_for_event(found.data[0].id)
    client.Events.get_profile_for_event(found.data[0].id)


def test_bulk_import(client: Any, base: str) -> None:
    """A job, its progress, its errors and its profiles."""
    rows: list[dict[str, Any]] = [
        {"type": "profile", "attributes": {"email": f"p{number}@acme.io"}} for number in range(50)
    ]
    rows.append({"type": "profile", "id": "nope", "attributes": {"first_name": "x"}})
    attributes = {"profiles": {"data": rows}}
    body = {"data": {"type": "profile-bulk-import-job", "attributes": attributes}}
    job = client.Profiles.bulk_import_profiles(body).data
    assert job.attributes.status == "queued"
    control(base, "advance", {"seconds": 5})
    done = client.Profiles.get_bulk_import_profiles_job(job.id).data.attributes
    assert (done.status, done.completed_count, done.failed_count) == ("complete", 50, 1)
    errors = client.Profiles.get_errors_for_bulk_import_profiles_job(job.id).data
    assert errors[0].attributes.source.pointer == "/data/attributes/profiles/data/50"
    found = pages(
        lambda **more: client.Profiles.get_profiles_for_bulk_import_profiles_job(job.id, **more)
    )
    assert len(found) == 50
    assert len(client.Profiles.get_bulk_import_profiles_jobs().data) == 1


def test_merging_and_property_operations(client: Any, base: str) -> None:
    """Two profiles become one; lists in properties grow and shrink."""
    kept = client.Profiles.create_profile(person(email="a@acme.io", properties={"skus": ["x"]}))
    gone = client.Profiles.create_profile(person(phone_number="+14155552671", title="Dr"))
    body = {
        "data": {
            "type": "profile-merge",
            "id": kept.data.id,
            "relationships": {"profiles": {"data": [{"type": "profile", "id": gone.data.id}]}},
        }
    }
    assert client.Profiles.merge_profiles(body).data.id == kept.data.id
    control(base, "advance", {"seconds": 5})
    with pytest.raises(ApiException, match="404"):
        client.Profiles.get_profile(gone.data.id)
    change = person(email="a@acme.io")
    change["data"]["meta"] = {"patch_properties": {"append": {"skus": "y"}, "unset": ["none"]}}
    client.Profiles.create_or_update_profile(change)
    found = client.Profiles.get_profile(kept.data.id).data.attributes
    assert (found.phone_number, found.title) == ("+14155552671", "Dr")
    assert found.properties == {"skus": ["x", "y"]}


def test_limits_are_told_as_the_client_reads_them(client: Any, base: str) -> None:
    """A throttled call is tried again by the client itself; a refusal is an error with its words."""
    rule = {"match": {"operation": "get_lists"}, "status": 429, "retry_after": "1", "times": 1}
    control(base, "faults", [rule])
    started = time.monotonic()
    patient = KlaviyoAPI("pk_official", test_host=base, max_retries=3, max_delay=5)
    assert patient.Lists.get_lists().data == []
    assert time.monotonic() - started >= 1
    with pytest.raises(ApiException, match="Invalid email address"):
        client.Profiles.create_profile(person(email="no address"))


def test_consent(client: Any, base: str) -> None:
    """Subscribe, unsubscribe, suppress, unsuppress, delete."""
    control(base, "switches", {"account_opt_in": "single_opt_in"})

    def subscription(verb: str, consent: str) -> dict[str, Any]:
        channels = {"email": {"marketing": {"consent": consent}}}
        row = {
            "type": "profile",
            "attributes": {"email": "a@acme.io", "subscriptions": channels},
        }
        kind = f"profile-subscription-bulk-{verb}-job"
        return {"data": {"type": kind, "attributes": {"profiles": {"data": [row]}}}}

    def suppression(verb: str) -> dict[str, Any]:
        row = {"type": "profile", "attributes": {"email": "a@acme.io"}}
        kind = f"profile-suppression-bulk-{verb}-job"
        return {"data": {"type": kind, "attributes": {"profiles": {"data": [row]}}}}

    def held() -> Any:
        control(base, "advance", {"seconds": 5})
        return state(base)["profiles"][0]["consent"]

    client.Profiles.bulk_subscribe_profiles(subscription("create", "SUBSCRIBED"))
    assert held() == {"email.marketing": "SUBSCRIBED"}
    job = client.Profiles.bulk_suppress_profiles(suppression("create")).data
    assert held()["suppressions"] == ["USER_SUPPRESSED"]
    done = client.Profiles.get_bulk_suppress_profiles_job(job.id).data.attributes
    assert (done.status, done.completed_count) == ("complete", 1)
    client.Profiles.bulk_unsuppress_profiles(suppression("delete"))
    assert held() == {"email.marketing": "SUBSCRIBED"}
    client.Profiles.bulk_unsubscribe_profiles(subscription("delete", "UNSUBSCRIBED"))
    assert held() == {"email.marketing": "UNSUBSCRIBED", "suppressions": ["UNSUBSCRIBE"]}
    person = {"data": {"type": "profile", "attributes": {"email": "a@acme.io"}}}
    attributes = {"profile": person}
    deletion = {"data": {"type": "data-privacy-deletion-job", "attributes": attributes}}
    client.Data_Privacy.request_profile_deletion(deletion)
    control(base, "advance", {"seconds": 5})
    assert state(base)["profiles"] == []


def test_what_the_client_sends_is_valid(client: Any, base: str, contract: Contract) -> None:
    """The ledger's requests can be held against the description, as in any acceptance test."""
    client.Accounts.get_accounts()
    client.Profiles.create_profile(person(email="a@acme.io"))
    requests = httpx.get(f"{base}/sandbox/requests").json()["requests"]
    assert len(requests) == 2
    assert_requests_valid(contract, requests)
    broken = {**requests[1], "body": {"data": {"type": "profile"}}}
    with pytest.raises(AssertionError, match='"attributes" is a required property'):
        assert_requests_valid(contract, [broken])
