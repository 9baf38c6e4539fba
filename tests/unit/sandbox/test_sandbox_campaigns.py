"""Templates, campaigns, reports, aggregates."""

from __future__ import annotations

import json
from typing import Any

import pytest

from destination.sandbox.world.templates import render
from tests.unit.sandbox.api import Api, data, errors, event

HTML = "<html><body>Hi {{ first_name|default:'there' }} {% unsubscribe %}</body></html>"


def template(api: Api, **attributes: Any) -> str:
    """The id of a new template."""
    given = {"name": "Monthly", "editor_type": "CODE", "html": HTML, **attributes}
    found: str = api.post("/api/templates", data("template", given), status=201)["data"]["id"]
    return found


def campaign_body(groups: list[str], **attributes: Any) -> dict[str, Any]:
    """A campaign's request body."""
    content = {"subject": "Sale", "from_email": "hi@acme.io", "from_label": "Acme"}
    definition = {"channel": "email", "label": "Main", "content": content}
    messages = [{"type": "campaign-message", "attributes": {"definition": definition}}]
    given = {
        "name": "Sale",
        "audiences": {"included": groups},
        "campaign-messages": {"data": messages},
        **attributes,
    }
    return data("campaign", given)


def audience(api: Api) -> str:
    """A list of 200, two of whom cannot be reached."""
    people = [f"p{number}@acme.io" for number in range(200)]
    api.sandbox.command("seed", {"lists": [{"id": "News01", "members": people}]})
    api.sandbox.command("consent", {"email": people[0], "unsubscribe": ["email.marketing"]})
    api.sandbox.command("consent", {"email": people[1], "suppress": ["HARD_BOUNCE"]})
    return "News01"


def ready(api: Api, **attributes: Any) -> str:
    """The id of a campaign with audience and template."""
    api.clock.advance(1)
    body = campaign_body([audience(api)], **attributes)
    created = api.post("/api/campaigns", body, status=201)["data"]
    message = created["relationships"]["campaign-messages"]["data"][0]["id"]
    wanted = {"template": {"data": {"type": "template", "id": template(api)}}}
    body = data("campaign-message", id=message, relationships=wanted)
    api.post("/api/campaign-message-assign-template", body, status=200)
    found: str = created["id"]
    return found


def shown(api: Api, campaign: str) -> str:
    """A campaign's status."""
    found: str = api.get(f"/api/campaigns/{campaign}")["data"]["attributes"]["status"]
    return found


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Hi {{ person.first_name|default:'you' }}!", "Hi Ann!"),
        ("{{ nobody }}{{ nobody|default:'x' }}{{ a|upper }}", "xB"),
        ("{% if a %}yes{% else %}no{% endif %}{% if not a %}no{% endif %}", "yes"),
        ("{% for x in items %}[{{ x.n }}{% if x.n %}!{% endif %}]{% endfor %}", "[1!][2!]"),
        ("{% if nobody %}{% for x in items %}{{ x }}{% endfor %}{% endif %}.", "."),
        ("{{ evil }}", "&lt;b&gt;"),
        ("{% catalog %}{{ items.0.n }}", "1"),
    ],
)
def test_templates_are_rendered(source: str, text: str) -> None:
    """As Django would; what is missing is nothing."""
    items = [{"n": 1}, {"n": 2}]
    context = {"person": {"first_name": "Ann"}, "a": "b", "items": items, "evil": "<b>"}
    assert render(source, context) == text


@pytest.mark.parametrize("source", ["{% if a %}", "{% endif %}", "{% for x in y %}", "{% for %}"])
def test_broken_templates_are_refused(api: Api, source: str) -> None:
    """With a 400 from the render call."""
    wrong = template(api, html=source)
    api.clock.advance(1)
    body = data("template", {"context": {}}, id=wrong)
    api.post("/api/template-render", body, status=400)


def test_templates_are_made_changed_copied_and_deleted(api: Api) -> None:
    """Which parts a template has depends on its editor."""
    monthly = template(api)
    body = data("template", {"context": {"first_name": "Ann"}}, id=monthly)
    html = api.post("/api/template-render", body, status=201)["data"]["attributes"]["html"]
    assert html.startswith("<html><body>Hi Ann <a href=")
    body = data("template", {"name": "Copy"}, id=monthly)
    copied = api.post("/api/template-clone", body, status=201)["data"]
    api.patch(f"/api/templates/{monthly}", data("template", {"html": "x"}, id=monthly))
    assert api.get(f"/api/templates/{copied['id']}")["data"]["attributes"]["html"] == HTML
    found = api.get("/api/templates?filter=equals(name,'Copy')&sort=-created")["data"]
    assert [each["id"] for each in found] == [copied["id"]]
    api.delete(f"/api/templates/{monthly}")
    api.get(f"/api/templates/{monthly}", status=404)
    for wrong, place in (
        ({"editor_type": "WORD"}, "editor_type"),
        ({"editor_type": "CODE"}, "html"),
        ({"editor_type": "SYSTEM_DRAGGABLE"}, "definition"),
        ({"editor_type": "CODE", "html": "x", "definition": {}}, "definition"),
    ):
        body = data("template", {"name": "x", **wrong})
        found = errors(api.post("/api/templates", body, status=400))
        assert [pointer for _, pointer in found] == [f"/data/attributes/{place}"]


def test_a_campaign_is_estimated_and_sent(api: Api) -> None:
    """Draft, Sending, Sent; only who can be reached counts."""
    campaign = ready(api)
    body = data("campaign-recipient-estimation-job", id=campaign)
    api.post("/api/campaign-recipient-estimation-jobs", body, status=202)
    api.clock.advance(1)
    job = api.get(f"/api/campaign-recipient-estimation-jobs/{campaign}")["data"]
    assert job["attributes"]["status"] == "complete"
    counted = api.get(f"/api/campaign-recipient-estimations/{campaign}")["data"]["attributes"]
    assert counted == {"estimated_recipient_count": 198}
    assert shown(api, campaign) == "Draft"
    send = data("campaign-send-job", id=campaign)
    assert api.post("/api/campaign-send-jobs", send, status=202)["data"]["id"] == campaign
    assert shown(api, campaign) == "Sending"
    api.clock.advance(5)
    assert shown(api, campaign) == "Sent"
    job = api.get(f"/api/campaign-send-jobs/{campaign}")["data"]
    assert job["attributes"]["status"] == "complete"
    api.post("/api/campaign-send-jobs", send, status=400)
    api.patch(
        f"/api/campaigns/{campaign}", data("campaign", {"name": "x"}, id=campaign), status=400
    )


def test_a_template_is_copied_when_assigned(api: Api) -> None:
    """Later changes of the source do not reach the message; the copy is not listed."""
    campaign = ready(api)
    (message,) = api.get(f"/api/campaigns/{campaign}/campaign-messages")["data"]
    copied = message["relationships"]["template"]["data"]["id"]
    (source,) = api.get("/api/templates")["data"]
    assert copied != source["id"]
    path = f"/api/campaign-messages/{message['id']}"
    assert api.get(f"{path}/template")["data"]["attributes"]["html"] == HTML
    assert api.get(f"{path}/relationships/template")["data"]["id"] == copied
    assert api.get(f"{path}/campaign")["data"]["id"] == campaign
    assert api.get(f"{path}/relationships/campaign")["data"]["id"] == campaign
    assert len(api.get(f"{path}?include=template,campaign")["included"]) == 2
    ids = api.get(f"/api/campaigns/{campaign}/relationships/campaign-messages")["data"]
    assert ids == [{"type": "campaign-message", "id": message["id"]}]


@pytest.mark.parametrize("action", ["cancel", "revert"])
def test_a_scheduled_campaign_waits_and_can_be_stopped(api: Api, action: str) -> None:
    """Cancelled is final but may be cloned; reverted is a draft again."""
    strategy = {"method": "static", "datetime": "2026-12-01T09:00:00+00:00"}
    campaign = ready(api, send_strategy=strategy)
    send = data("campaign-send-job", id=campaign)
    api.post("/api/campaign-send-jobs", send, status=202)
    assert shown(api, campaign) == "Scheduled"
    stop = data("campaign-send-job", {"action": action}, id=campaign)
    assert api.patch(f"/api/campaign-send-jobs/{campaign}", stop, status=204) is None
    assert shown(api, campaign) == {"cancel": "Cancelled", "revert": "Draft"}[action]
    api.clock.advance(20 * 86_400)
    assert shown(api, campaign) != "Sent"
    cloned = api.post(
        "/api/campaign-clone", data("campaign", {"new_name": "Two"}, id=campaign), status=201
    )
    assert cloned["data"]["attributes"]["status"] == "Draft"
    assert cloned["data"]["attributes"]["name"] == "Two"
    found = api.post(
        "/api/campaign-send-jobs", data("campaign-send-job", id=cloned["data"]["id"]), status=400
    )
    assert errors(found)[0][0] == "The time to send is in the past."


def test_a_scheduled_campaign_goes_out_when_due(api: Api) -> None:
    """By the clock."""
    strategy = {
        "method": "throttled",
        "datetime": "2026-12-01T09:00:00Z",
        "throttle_percentage": 10,
    }
    campaign = ready(api, send_strategy=strategy)
    api.post("/api/campaign-send-jobs", data("campaign-send-job", id=campaign), status=202)
    api.clock.advance(12 * 86_400)
    assert shown(api, campaign) == "Sent"


def test_what_cannot_be_sent(api: Api) -> None:
    """Without a template, without an unsubscribe link, to nobody."""
    api.sandbox.command("seed", {"lists": [{"id": "Empty1"}]})
    created = api.post("/api/campaigns", campaign_body(["Empty1"]), status=201)["data"]
    send = data("campaign-send-job", id=created["id"])
    found = errors(api.post("/api/campaign-send-jobs", send, status=400))
    assert found == [("The message has no template.", "/data/id")]
    message = created["relationships"]["campaign-messages"]["data"][0]["id"]
    for html, problem in (("<p>", "The template has no unsubscribe link."), (HTML, "")):
        wanted = {"template": {"data": {"type": "template", "id": template(api, html=html)}}}
        body = data("campaign-message", id=message, relationships=wanted)
        api.post("/api/campaign-message-assign-template", body, status=200)
        if problem:
            found = errors(api.post("/api/campaign-send-jobs", send, status=400))
            assert found == [(problem, "/data/id")]
    api.post("/api/campaign-send-jobs", send, status=202)
    api.clock.advance(5)
    assert shown(api, created["id"]) == "Cancelled: No Recipients"


def test_campaigns_are_checked_listed_changed_and_deleted(api: Api) -> None:
    """Audiences must exist; the channel must be filtered by."""
    found = errors(api.post("/api/campaigns", campaign_body(["NOLIST"]), status=400))
    assert found == [
        ("The audience NOLIST does not exist.", "/data/attributes/audiences/included/0")
    ]
    options = {"use_smart_sending": True}
    wrong = campaign_body(["x"], send_strategy={"method": "throttled", "throttle_percentage": 3})
    api.post("/api/campaigns", wrong, status=400)
    campaign = ready(api, send_options=options)
    api.get("/api/campaigns", status=400)
    text = "filter=equals(messages.channel,'email'),contains(name,'Sal')"
    found = api.get(f"/api/campaigns?{text}&include=campaign-messages")
    assert [each["id"] for each in found["data"]] == [campaign]
    assert len(found["included"]) == 1
    text = "filter=equals(messages.channel,'email'),any(status,['Sent'])"
    assert api.get(f"/api/campaigns?{text}")["data"] == []
    message = found["included"][0]["id"]
    definition = {"channel": "email", "content": {"subject": "New", "from_email": "nope"}}
    body = data("campaign-message", {"definition": definition}, id=message)
    api.patch(f"/api/campaign-messages/{message}", body, status=400)
    definition["content"] = {"subject": "New", "from_email": "{{ organization.email }}"}
    api.patch(f"/api/campaign-messages/{message}", body)
    api.patch(f"/api/campaigns/{campaign}", data("campaign", {"name": "New"}, id=campaign))
    api.delete(f"/api/campaigns/{campaign}")
    api.get(f"/api/campaigns/{campaign}", status=404)
    api.get(f"/api/campaign-messages/{message}", status=404)


def report(metric: str, **more: Any) -> dict[str, Any]:
    """A report's request body."""
    statistics = ["recipients", "opens_unique", "open_rate", "conversions", "conversion_value"]
    return data(
        "campaign-values-report",
        {
            "statistics": statistics,
            "timeframe": {"key": "last_30_days"},
            "conversion_metric_id": metric,
            **more,
        },
    )


def test_a_report_counts_what_was_sent_and_bought(api: Api) -> None:
    """One row a campaign; two reports a minute."""
    api.post("/api/events", event({"email": "p5@acme.io"}, value=10), status=202)
    metric = api.get("/api/metrics")["data"][0]["id"]
    campaign = ready(api)
    api.post("/api/campaign-send-jobs", data("campaign-send-job", id=campaign), status=202)
    api.clock.advance(60)
    api.post("/api/events", event({"email": "p5@acme.io"}, value=20, unique_id="2"), status=202)
    api.post("/api/events", event({"email": "other@acme.io"}, value=5, unique_id="3"), status=202)
    path = "/api/campaign-values-reports"
    (row,) = api.post(path, report(metric), status=200)["data"]["attributes"]["results"]
    assert row["groupings"]["campaign_id"] == campaign
    assert row["groupings"]["send_channel"] == "email"
    assert row["statistics"]["recipients"] == 198
    assert row["statistics"]["conversions"] == 1
    assert row["statistics"]["conversion_value"] == 20
    assert 0 < row["statistics"]["open_rate"] < 1
    api.clock.advance(1)
    body = report(metric, filter='equals(send_channel,"sms")', timeframe={"key": "today"})
    assert api.post(path, body, status=200)["data"]["attributes"]["results"] == []
    api.clock.advance(1)
    assert api.send("POST", path, report(metric)).status == 429
    api.clock.advance(60)
    api.post(path, report("NOPE00"), status=400)
    api.clock.advance(1)
    api.post(path, report(metric, group_by=["campaign_id"]), status=400)


@pytest.mark.parametrize(
    ("key", "start", "end"),
    [
        ("today", "2026-11-21", "2026-11-22"),
        ("yesterday", "2026-11-20", "2026-11-21"),
        ("this_week", "2026-11-16", "2026-11-22"),
        ("last_week", "2026-11-09", "2026-11-16"),
        ("this_month", "2026-11-01", "2026-11-22"),
        ("last_month", "2026-10-01", "2026-11-01"),
        ("last_3_months", "2026-08-01", "2026-11-01"),
        ("last_12_months", "2025-11-01", "2026-11-01"),
        ("this_year", "2026-01-01", "2026-11-22"),
        ("last_year", "2025-01-01", "2026-01-01"),
        ("last_7_days", "2026-11-14", "2026-11-22"),
    ],
)
def test_timeframes(api: Api, key: str, start: str, end: str) -> None:
    """A campaign counts if it was sent within."""
    from destination.sandbox.calls.reports import _timeframe
    from destination.sandbox.clock import written

    found = _timeframe({"key": key}, api.clock.now())
    assert tuple(written(each)[:10] for each in found) == (start, end)


def aggregate(metric: str, start: str, end: str, **more: Any) -> dict[str, Any]:
    """An aggregate's request body."""
    bounds = [f"greater-or-equal(datetime,{start})", f"less-than(datetime,{end})"]
    attributes = {
        "metric_id": metric,
        "measurements": ["count", "sum_value", "unique"],
        "filter": bounds,
        **more,
    }
    return data("metric-aggregate", attributes)


def test_aggregates_fill_every_bucket(api: Api) -> None:
    """By day, by hour in a timezone, and by a dimension."""
    for number, (who, time) in enumerate(
        [
            ("a", "2026-11-01T10:00:00Z"),
            ("a", "2026-11-01T23:30:00Z"),
            ("b", "2026-11-03T00:00:00Z"),
        ]
    ):
        properties = {"URL": f"/{who}"}
        body = event(
            {"email": f"{who}@acme.io"}, time=time, value=number + 1, properties=properties
        )
        api.post("/api/events", body, status=202)
    metric = api.get("/api/metrics")["data"][0]["id"]
    path = "/api/metric-aggregates"
    body = aggregate(metric, "2026-11-01T00:00:00", "2026-11-04T00:00:00")
    found = api.post(path, body, status=200)["data"]["attributes"]
    assert found["dates"][0] == "2026-11-01T00:00:00+00:00"
    assert found["data"] == [
        {
            "dimensions": [],
            "measurements": {"count": [2, 0, 1], "sum_value": [3, 0, 3], "unique": [1, 0, 1]},
        }
    ]
    body = aggregate(metric, "2026-11-01T00:00:00", "2026-11-04T00:00:00", timezone="Asia/Tokyo")
    found = api.post(path, body, status=200)["data"]["attributes"]
    assert found["dates"][0] == "2026-11-01T00:00:00+09:00"
    assert found["data"][0]["measurements"]["count"] == [1, 1, 1]
    body = aggregate(
        metric, "2026-11-01T00:00:00", "2026-11-04T00:00:00", by=["URL"], interval="month"
    )
    api.clock.advance(1)
    found = api.post(path, body, status=200)["data"]["attributes"]["data"]
    assert [(each["dimensions"], each["measurements"]["count"]) for each in found] == [
        (["/a"], [2]),
        (["/b"], [1]),
    ]
    wrongs: list[dict[str, Any]] = [
        {"filter": []},
        {"timezone": "Mars/Base"},
        {"measurements": ["mean"]},
    ]
    for wrong in wrongs:
        body = aggregate(metric, "2026-11-01T00:00:00", "2026-11-02T00:00:00", **wrong)
        api.clock.advance(1)
        api.post(path, body, status=400)


def test_the_properties_of_a_metric(api: Api) -> None:
    """With samples of their values."""
    api.post(
        "/api/events", event({"email": "a@acme.io"}, properties={"n": 1, "s": "x"}), status=202
    )
    metric = api.get("/api/metrics")["data"][0]["id"]
    path = (
        f"/api/metrics/{metric}/metric-properties?additional-fields[metric-property]=sample_values"
    )
    found = api.get(path)["data"]
    assert [each["attributes"]["property"] for each in found] == ["n", "s"]
    assert found[0]["attributes"]["sample_values"] == [1]
    api.get(f"/api/metrics/{metric}/relationships/metric-properties")
    api.get(f"/api/metric-properties/{found[0]['id']}")
    assert api.get(f"/api/metric-properties/{found[0]['id']}/metric")["data"]["id"] == metric
    api.get(f"/api/metric-properties/{found[0]['id']}/relationships/metric")


def test_tags_label_lists_segments_and_campaigns(api: Api) -> None:
    """In groups, of which an exclusive one allows a resource one tag."""
    api.switches.update({"limits": "off"})
    news = api.list()
    body = data("tag-group", {"name": "Season", "exclusive": True})
    group = api.post("/api/tag-groups", body, status=201)["data"]["id"]
    relation = {"tag-group": {"data": {"type": "tag-group", "id": group}}}
    tags = [
        api.post("/api/tags", data("tag", {"name": name}, relationships=relation), status=201)[
            "data"
        ]["id"]
        for name in ("spring", "autumn")
    ]
    free = api.post("/api/tags", data("tag", {"name": "free"}), status=201)["data"]["id"]
    wanted = {"data": [{"type": "list", "id": news}]}
    api.post(f"/api/tags/{tags[0]}/relationships/lists", wanted, status=204)
    api.post(f"/api/tags/{tags[1]}/relationships/lists", wanted, status=400)
    api.post(f"/api/tags/{free}/relationships/lists", wanted, status=204)
    assert len(api.get(f"/api/lists/{news}/tags")["data"]) == 2
    assert len(api.get(f"/api/lists/{news}/relationships/tags")["data"]) == 2
    assert len(api.get(f"/api/lists/{news}?include=tags")["included"]) == 2
    assert len(api.get("/api/lists?include=tags")["included"]) == 2
    assert api.get(f"/api/tags/{free}/relationships/lists")["data"] == wanted["data"]
    assert api.get(f"/api/tags/{free}/relationships/segments")["data"] == []
    assert api.get(f"/api/tags/{tags[0]}/tag-group")["data"]["id"] == group
    api.get(f"/api/tags/{tags[0]}/relationships/tag-group")
    assert len(api.get(f"/api/tag-groups/{group}/tags")["data"]) == 2
    api.get(f"/api/tag-groups/{group}/relationships/tags")
    api.delete(f"/api/tags/{free}/relationships/lists", wanted)
    api.patch(f"/api/tags/{free}", data("tag", {"name": "freed"}, id=free), status=204)
    found = api.get("/api/tags?filter=starts-with(name,'fr')&include=tag-group")
    assert [each["attributes"]["name"] for each in found["data"]] == ["freed"]
    api.get(f"/api/tags/{free}?include=tag-group")
    api.patch(f"/api/tag-groups/{group}", data("tag-group", {"name": "S"}, id=group), status=204)
    api.delete(f"/api/tags/{free}")
    api.delete(f"/api/tag-groups/{group}")
    (default,) = api.get("/api/tag-groups")["data"]
    api.get(f"/api/tag-groups/{default['id']}")
    api.delete(f"/api/tag-groups/{default['id']}", status=400)
    assert api.get("/api/tags")["data"] == []


def test_segments_are_stored_and_read(api: Api) -> None:
    """Their members come from the bench."""
    condition = {"type": "profile-group-membership", "is_member": True, "group_ids": ["Y6nRLr"]}
    definition = {"condition_groups": [{"conditions": [condition]}]}
    body = data("segment", {"name": "VIP", "definition": definition})
    segment = api.post("/api/segments", body, status=201)["data"]["id"]
    api.sandbox.command("seed", {"segments": [{"id": segment, "members": ["a@acme.io"]}]})
    api.clock.advance(1)
    body = data("segment", {"name": "VIPs", "is_starred": True}, id=segment)
    api.patch(f"/api/segments/{segment}", body)
    found = api.get("/api/segments?filter=equals(is_starred,true)")["data"]
    assert [each["attributes"]["name"] for each in found] == ["VIPs"]
    (member,) = api.get(f"/api/segments/{segment}/profiles")["data"]
    api.get(f"/api/segments/{segment}/relationships/profiles")
    counted = api.get(f"/api/segments/{segment}?additional-fields[segment]=profile_count")
    assert counted["data"]["attributes"]["profile_count"] == 1
    assert len(api.get(f"/api/profiles/{member['id']}/segments")["data"]) == 1
    api.get(f"/api/profiles/{member['id']}/relationships/segments")
    assert len(api.get(f"/api/profiles/{member['id']}?include=segments,lists")["included"]) == 1
    api.delete(f"/api/segments/{segment}")
    api.get(f"/api/segments/{segment}", status=404)


def test_the_account(api: Api) -> None:
    """One, by list and by id."""
    (account,) = api.get("/api/accounts/")["data"]
    api.clock.advance(1)
    assert api.get(f"/api/accounts/{account['id']}")["data"] == account
    assert json.dumps(account)
