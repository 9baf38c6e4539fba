"""Every operation of the sandbox, good and bad, answers as Klaviyo's description says it may."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest

from destination.sandbox import ManualClock, Switches, create_app
from destination.sandbox.calls.handlers import HANDLERS
from destination.sandbox.operations import Operation, load
from tests.contract.openapi import Contract

HEADERS = {
    "Authorization": "Klaviyo-API-Key pk_contract",
    "revision": "2026-07-15",
    "Content-Type": "application/vnd.api+json",
}
Send = Callable[..., Any]


class Peer:
    """Sends requests to the app and holds every answer to the contract."""

    def __init__(self, client: httpx.AsyncClient, contract: Contract) -> None:
        self._client = client
        self._contract = contract
        self.worked: set[str] = set()

    async def __call__(self, method: str, url: str, body: Any = None, **given: Any) -> Any:
        """The document of an answer that must be a success."""
        status, document = await self.answer(method, url, body, **given)
        assert status < 400, (method, url, status, document)
        operation, _, _ = load().find(method, url.partition("?")[0])
        assert operation is not None
        self.worked.add(operation.id)
        return document

    async def answer(
        self, method: str, url: str, body: Any = None, **given: Any
    ) -> tuple[int, Any]:
        """Status and document of whatever answer comes, held to the contract."""
        headers = {**HEADERS, **given.get("headers", {})}
        content = b"" if body is None else json.dumps(body).encode()
        reply = await self._client.request(method, url, content=content, headers=headers)
        document = reply.json() if reply.content else None
        path = url.partition("?")[0]
        faults = self._contract.check_response(method, path, reply.status_code, document)
        assert not faults, (method, url, reply.status_code, faults)
        return reply.status_code, document

    async def control(self, command: str, body: Any) -> None:
        """Do a control command."""
        reply = await self._client.post(f"/sandbox/{command}", json=body)
        assert reply.status_code == 200, reply.text


@asynccontextmanager
async def peer(contract: Contract) -> AsyncIterator[Peer]:
    """A peer of a fresh sandbox without limits."""
    app = create_app(clock=ManualClock(), switches=Switches(limits="off"))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        yield Peer(client, contract)


def data(kind: str, attributes: Any = None, **more: Any) -> dict[str, Any]:
    """``{"data": {"type": kind, ...}}``."""
    held = {"type": kind, **more}
    return {"data": held if attributes is None else {**held, "attributes": attributes}}


def refs(kind: str, *ids: str) -> dict[str, Any]:
    """A relationship's body."""
    return {"data": [{"type": kind, "id": each} for each in ids]}


def test_every_operation_is_imitated() -> None:
    """There is a handler for each described operation, and no other."""
    assert set(HANDLERS) == {operation.id for operation in load().all}


def test_every_success_is_one_that_klaviyo_describes(contract: Contract) -> None:
    """A walk through all operations."""

    async def walk() -> None:
        async with peer(contract) as send:
            for part in (people, groups, happenings, imports, consents, mailings, labels):
                await part(send)
            assert send.worked == set(HANDLERS)

    anyio.run(walk)


async def people(send: Peer) -> None:
    """Accounts and profiles."""
    (account,) = (await send("GET", "/api/accounts"))["data"]
    await send("GET", f"/api/accounts/{account['id']}/")
    full = {
        "email": "a@acme.io",
        "phone_number": "+12345678901",
        "location": {"city": "Bonn", "latitude": "50.7", "longitude": 7.1},
        "properties": {"deep": {"list": [1, None, "x"]}},
    }
    ann = (await send("POST", "/api/profiles", data("profile", full)))["data"]["id"]
    bob = data("profile", {"external_id": "b"})
    source = (await send("POST", "/api/profile-import", bob))["data"]["id"]
    await send("PATCH", f"/api/profiles/{ann}", data("profile", {"title": None}, id=ann))
    more = "additional-fields[profile]=subscriptions,predictive_analytics"
    await send("GET", f"/api/profiles?{more}&page[size]=1&sort=-created&include=push-tokens")
    await send("GET", f"/api/profiles/{ann}?{more}&include=lists,segments,push-tokens")
    merge = data("profile-merge", id=ann, relationships={"profiles": refs("profile", source)})
    await send("POST", "/api/profile-merge", merge)
    for part in ("lists", "relationships/lists", "segments", "relationships/segments"):
        await send("GET", f"/api/profiles/{ann}/{part}")


async def groups(send: Peer) -> None:
    """Lists and segments, with members."""
    (ann, *_) = (await send("GET", "/api/profiles"))["data"]
    made = data("list", {"name": "News"})
    news = (await send("POST", "/api/lists", made))["data"]["id"]
    definition: dict[str, Any] = {"condition_groups": []}
    made = data("segment", {"name": "VIP", "definition": definition})
    vip = (await send("POST", "/api/segments", made))["data"]["id"]
    await send.control("seed", {"segments": [{"id": vip, "members": ["a@acme.io"]}]})
    await send("POST", f"/api/lists/{news}/relationships/profiles", refs("profile", ann["id"]))
    for kind, group in (("list", news), ("segment", vip)):
        await send("GET", f"/api/{kind}s?include=tags")
        await send("GET", f"/api/{kind}s/{group}?additional-fields[{kind}]=profile_count")
        await send("GET", f"/api/{kind}s/{group}/profiles?sort=-joined_group_at")
        await send("GET", f"/api/{kind}s/{group}/relationships/profiles")
        body = data(kind, {"name": "Changed"}, id=group)
        await send("PATCH", f"/api/{kind}s/{group}", body)
        other = data(
            kind, {"name": "Other"} | ({"definition": definition} if kind == "segment" else {})
        )
        gone = (await send("POST", f"/api/{kind}s", other))["data"]["id"]
        await send("DELETE", f"/api/{kind}s/{gone}")
    await send("DELETE", f"/api/lists/{news}/relationships/profiles", refs("profile", ann["id"]))


async def happenings(send: Peer) -> None:
    """Events, metrics and what is known of them."""
    metric = {"data": {"type": "metric", "attributes": {"name": "Placed Order"}}}
    owner = {"data": {"type": "profile", "attributes": {"email": "a@acme.io"}}}
    event = {"properties": {"n": 1, "s": "x"}, "value": 2.5, "metric": metric}
    await send("POST", "/api/events", data("event", {**event, "profile": owner}))
    rows = {"data": [{"type": "event", "attributes": {**event, "unique_id": "2"}}]}
    group = {"type": "event-bulk-create", "attributes": {"profile": owner, "events": rows}}
    job = {"events-bulk-create": {"data": [group]}}
    await send("POST", "/api/event-bulk-create-jobs", data("event-bulk-create-job", job))
    await send.control("advance", {"seconds": 5})
    listed = await send("GET", "/api/events?include=metric,profile,attributions&page[size]=1")
    identifier = listed["data"][0]["id"]
    await send("GET", f"/api/events/{identifier}?include=metric,profile")
    for part in ("metric", "relationships/metric", "profile", "relationships/profile"):
        await send("GET", f"/api/events/{identifier}/{part}")
    (found,) = (await send("GET", "/api/metrics?include=flow-triggers"))["data"]
    await send("GET", f"/api/metrics/{found['id']}")
    sampled = "additional-fields[metric-property]=sample_values"
    path = f"/api/metrics/{found['id']}/metric-properties"
    (first, *_) = (await send("GET", f"{path}?{sampled}"))["data"]
    await send("GET", f"/api/metrics/{found['id']}/relationships/metric-properties")
    await send("GET", f"/api/metric-properties/{first['id']}?{sampled}")
    await send("GET", f"/api/metric-properties/{first['id']}/metric")
    await send("GET", f"/api/metric-properties/{first['id']}/relationships/metric")
    query = {
        "metric_id": found["id"],
        "measurements": ["count"],
        "filter": [
            "greater-or-equal(datetime,2026-11-20T00:00:00)",
            "less-than(datetime,2026-11-25T00:00:00)",
        ],
    }
    await send("POST", "/api/metric-aggregates", data("metric-aggregate", query))


async def imports(send: Peer) -> None:
    """A bulk import with one row that fails."""
    (news,) = (await send("GET", "/api/lists"))["data"]
    rows = [
        {"type": "profile", "attributes": {"email": "job@acme.io"}},
        {
            "type": "profile",
            "attributes": {"email": "x@acme.io", "properties": {"__import_error": "no"}},
        },
    ]
    body = data(
        "profile-bulk-import-job",
        {"profiles": {"data": rows}},
        relationships={"lists": refs("list", news["id"])},
    )
    job = (await send("POST", "/api/profile-bulk-import-jobs", body))["data"]["id"]
    await send.control("advance", {"seconds": 5})
    await send("GET", "/api/profile-bulk-import-jobs?filter=equals(status,'complete')")
    path = f"/api/profile-bulk-import-jobs/{job}"
    await send("GET", f"{path}?include=lists")
    for part in ("lists", "relationships/lists", "profiles", "relationships/profiles"):
        assert (await send("GET", f"{path}/{part}"))["data"]
    assert (await send("GET", f"{path}/import-errors"))["data"]


async def consents(send: Peer) -> None:
    """Subscribe, unsubscribe, suppress, unsuppress, delete."""
    for verb, consent in (("create", "SUBSCRIBED"), ("delete", "UNSUBSCRIBED")):
        channels = {"email": {"marketing": {"consent": consent}}}
        attributes = {"email": "c@acme.io", "subscriptions": channels}
        kind = f"profile-subscription-bulk-{verb}-job"
        rows = {"profiles": {"data": [{"type": "profile", "attributes": attributes}]}}
        await send("POST", f"/api/{kind}s", data(kind, rows))
        kind = f"profile-suppression-bulk-{verb}-job"
        rows = {"profiles": {"data": [{"type": "profile", "attributes": {"email": "c@acme.io"}}]}}
        job = (await send("POST", f"/api/{kind}s", data(kind, rows)))["data"]["id"]
        await send.control("advance", {"seconds": 5})
        await send("GET", f"/api/{kind}s/{job}")
        await send("GET", f"/api/{kind}s?sort=-created")
    await send("GET", "/api/profiles?additional-fields[profile]=subscriptions")
    person = {"data": {"type": "profile", "attributes": {"email": "c@acme.io"}}}
    deletion = data("data-privacy-deletion-job", {"profile": person})
    await send("POST", "/api/data-privacy-deletion-jobs", deletion)


async def mailings(send: Peer) -> None:
    """Templates, campaigns of every channel, sending and reporting."""
    html = "<p>{{ name }}</p>{% unsubscribe %}"
    made = data("template", {"name": "T", "editor_type": "CODE", "html": html, "text": "x"})
    template = (await send("POST", "/api/templates", made))["data"]["id"]
    await send("GET", "/api/templates?additional-fields[template]=definition")
    await send("GET", f"/api/templates/{template}")
    await send("PATCH", f"/api/templates/{template}", data("template", {"name": "U"}, id=template))
    context = {"context": {"name": "Ann"}}
    await send("POST", "/api/template-render", data("template", context, id=template))
    copied = await send("POST", "/api/template-clone", data("template", {}, id=template))
    await send("DELETE", f"/api/templates/{copied['data']['id']}")
    await send.control("seed", {"lists": [{"id": "Mail01", "members": ["m@acme.io"]}]})
    definitions: list[dict[str, Any]] = [
        {"channel": "email", "content": {"subject": "S", "from_email": "h@acme.io"}},
        {"channel": "sms", "content": {"body": "Hi"}},
        {"channel": "mobile_push", "content": {"body": "Hi"}},
    ]
    strategies: list[dict[str, Any]] = [
        {"method": "static", "datetime": "2026-12-01T09:00:00Z", "options": {"is_local": False}},
        {"method": "immediate"},
        {"method": "smart_send_time", "date": "2026-12-24"},
    ]
    campaigns = []
    for definition, strategy in zip(definitions, strategies, strict=True):
        message = {"type": "campaign-message", "attributes": {"definition": definition}}
        attributes = {
            "name": definition["channel"],
            "audiences": {"included": ["Mail01"]},
            "send_strategy": strategy,
            "campaign-messages": {"data": [message]},
        }
        made = await send("POST", "/api/campaigns", data("campaign", attributes))
        campaigns.append(made["data"]["id"])
        text = f"filter=equals(messages.channel,'{definition['channel']}')"
        await send("GET", f"/api/campaigns?{text}&include=campaign-messages,tags")
    first = campaigns[0]
    await send("GET", f"/api/campaigns/{first}?include=campaign-messages")
    changed = data("campaign", {"send_options": {"use_smart_sending": False}}, id=first)
    await send("PATCH", f"/api/campaigns/{first}", changed)
    (message,) = (await send("GET", f"/api/campaigns/{first}/campaign-messages"))["data"]
    await send("GET", f"/api/campaigns/{first}/relationships/campaign-messages")
    path = f"/api/campaign-messages/{message['id']}"
    await send("GET", f"{path}/relationships/template")
    wanted = {"template": {"data": {"type": "template", "id": template}}}
    assign = data("campaign-message", id=message["id"], relationships=wanted)
    await send("POST", "/api/campaign-message-assign-template", assign)
    changed = data("campaign-message", {"definition": definitions[0]}, id=message["id"])
    await send("PATCH", path, changed)
    await send("GET", f"{path}?include=campaign,template")
    for part in ("campaign", "relationships/campaign", "template", "relationships/template"):
        await send("GET", f"{path}/{part}")
    job = data("campaign-recipient-estimation-job", id=first)
    await send("POST", "/api/campaign-recipient-estimation-jobs", job)
    await send("GET", f"/api/campaign-recipient-estimation-jobs/{first}")
    await send.control("advance", {"seconds": 5})
    await send("GET", f"/api/campaign-recipient-estimations/{first}")
    job = data("campaign-send-job", id=first)
    await send("POST", "/api/campaign-send-jobs", job)
    await send("GET", f"/api/campaign-send-jobs/{first}")
    stop = data("campaign-send-job", {"action": "revert"}, id=first)
    await send("PATCH", f"/api/campaign-send-jobs/{first}", stop)
    await send("POST", "/api/campaign-send-jobs", job)
    await send("POST", "/api/campaign-clone", data("campaign", {}, id=first))
    await send.control("advance", {"seconds": 20 * 86_400})
    assert (await send("GET", f"/api/campaigns/{first}"))["data"]["attributes"]["status"] == "Sent"
    (metric,) = (await send("GET", "/api/metrics"))["data"]
    report = {
        "statistics": ["opens", "open_rate"],
        "timeframe": {"key": "last_30_days"},
        "conversion_metric_id": metric["id"],
    }
    query = data("campaign-values-report", report)
    found = await send("POST", "/api/campaign-values-reports", query)
    assert len(found["data"]["attributes"]["results"]) == 1
    await send("DELETE", f"/api/campaigns/{campaigns[1]}")


async def labels(send: Peer) -> None:
    """Tags and their groups, on lists, segments and campaigns."""
    group = (await send("POST", "/api/tag-groups", data("tag-group", {"name": "G"})))["data"]["id"]
    relation = {"tag-group": {"data": {"type": "tag-group", "id": group}}}
    made = data("tag", {"name": "T"}, relationships=relation)
    tag = (await send("POST", "/api/tags", made))["data"]["id"]
    await send("GET", "/api/tags?include=tag-group")
    await send("GET", f"/api/tags/{tag}?include=tag-group")
    await send("PATCH", f"/api/tags/{tag}", data("tag", {"name": "U"}, id=tag))
    for part in ("tag-group", "relationships/tag-group"):
        await send("GET", f"/api/tags/{tag}/{part}")
    filters = {"campaign": "?filter=equals(messages.channel,'email')"}
    for kind in ("list", "segment", "campaign"):
        (bearer, *_) = (await send("GET", f"/api/{kind}s{filters.get(kind, '')}"))["data"]
        path = f"/api/tags/{tag}/relationships/{kind}s"
        await send("POST", path, refs(kind, bearer["id"]))
        assert (await send("GET", path))["data"]
        assert (await send("GET", f"/api/{kind}s/{bearer['id']}/tags"))["data"]
        await send("GET", f"/api/{kind}s/{bearer['id']}/relationships/tags")
        await send("DELETE", path, refs(kind, bearer["id"]))
    for part in ("", "/tags", "/relationships/tags"):
        await send("GET", f"/api/tag-groups/{group}{part}")
    await send("GET", "/api/tag-groups")
    body = data("tag-group", {"name": "H"}, id=group)
    await send("PATCH", f"/api/tag-groups/{group}", body)
    await send("DELETE", f"/api/tags/{tag}")
    await send("DELETE", f"/api/tag-groups/{group}")


@pytest.mark.parametrize("operation", load().all, ids=lambda operation: operation.id)
def test_every_refusal_is_an_error_document(contract: Contract, operation: Operation) -> None:
    """No key, no scope, a wrong body, type or parameter, an unknown id: told as Klaviyo tells it."""

    async def refuse() -> None:
        async with peer(contract) as send:
            await send.control("keys", {"key": "pk_none", "scopes": []})
            path = operation.path.replace("{id}", "nope").replace("{job_id}", "nope")
            body = {"data": 5} if operation.body else None
            expected: list[tuple[int, dict[str, Any], str]] = [
                (401, {"headers": {"Authorization": ""}}, ""),
                (400, {"headers": {"revision": "soon"}}, ""),
                (403, {"headers": {"Authorization": "Klaviyo-API-Key pk_none"}}, ""),
                (400, {}, "?nope=1"),
            ]
            if operation.body:
                expected += [(400, {}, ""), (415, {"headers": {"Content-Type": "text/plain"}}, "")]
            elif "{" in operation.path:
                expected += [(404, {}, "")]
            for status, given, query in expected:
                found, document = await send.answer(operation.method, path + query, body, **given)
                assert found == status, (given, query, document)

    anyio.run(refuse)
