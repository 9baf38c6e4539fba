"""Campaign reports, from what the sandbox has sent and what people did afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from destination.sandbox.calls.call import Answer, Call, Handler
from destination.sandbox.calls.filters import Condition, parse
from destination.sandbox.clock import moment
from destination.sandbox.errors import invalid
from destination.sandbox.world.campaigns import SENT, Campaign
from destination.sandbox.world.events import Event

DAY = 86_400
NEEDED = ("campaign_id", "campaign_message_id")
DEFAULT_GROUPS = (*NEEDED, "send_channel")
MOST_VALUES = 100
# What an imagined audience does: shares of those who got the mail.
OPENED, CLICKED, BOUNCED, LEFT = 0.4, 0.1, 0.02, 0.005
# How long after a mail an event counts as its doing.
ATTRIBUTED = 5 * DAY


def query_campaign_values(call: Call) -> Answer:
    """POST /campaign-values-reports: one row for each sent campaign in the timeframe."""
    attributes = call.body["data"]["attributes"]
    groups = attributes.get("group_by") or DEFAULT_GROUPS
    place = "/data/attributes"
    if any(each not in groups for each in NEEDED):
        raise invalid(f"group_by must contain {' and '.join(NEEDED)}.", f"{place}/group_by")
    metric = call.account.metrics.get(attributes["conversion_metric_id"])
    if metric is None:
        raise invalid("The metric does not exist.", f"{place}/conversion_metric_id")
    start, end = _timeframe(attributes["timeframe"], call.now)
    if end - start > 366 * DAY or end <= start:
        raise invalid("A timeframe is at most one year long.", f"{place}/timeframe")
    conditions = _conditions(attributes.get("filter"))
    results = []
    for campaign in call.account.campaigns.values():
        if campaign.status != SENT or not start <= (campaign.sent or 0) < end:
            continue
        groupings = _groupings(campaign)
        if all(each.holds(groupings.get(each.field)) for each in conditions):
            numbers = _numbers(call, campaign, metric.id)
            results.append(
                {
                    "groupings": {name: groupings.get(name) for name in groups},
                    "statistics": {each: numbers.get(each, 0) for each in attributes["statistics"]},
                }
            )
    link = f"{call.link_base}{call.operation.path}"
    data = {"type": "campaign-values-report", "attributes": {"results": results}}
    return Answer(200, {"data": data, "links": {"self": link}})


def _groupings(campaign: Campaign) -> dict[str, Any]:
    message = campaign.messages[0]
    return {
        "campaign_id": campaign.id,
        "campaign_message_id": message.id,
        "campaign_message_name": message.definition.get("label") or campaign.name,
        "send_channel": campaign.channel,
    }


def _numbers(call: Call, campaign: Campaign, metric: str) -> dict[str, float]:
    """Every statistic of a campaign that is known."""
    recipients = len(campaign.recipients)
    bounced = int(recipients * BOUNCED)
    delivered = recipients - bounced
    opened, clicked, left = (int(delivered * share) for share in (OPENED, CLICKED, LEFT))
    orders = _orders(call, campaign, metric)
    buyers = len({event.profile for event in orders})
    value = sum(event.value or 0 for event in orders)
    return {
        "recipients": recipients,
        "delivered": delivered,
        "delivery_rate": _share(delivered, recipients),
        "bounced": bounced,
        "bounce_rate": _share(bounced, recipients),
        "bounced_or_failed": bounced,
        "bounced_or_failed_rate": _share(bounced, recipients),
        "opens": opened * 2,
        "opens_unique": opened,
        "open_rate": _share(opened, delivered),
        "clicks": clicked,
        "clicks_unique": clicked,
        "click_rate": _share(clicked, delivered),
        "click_to_open_rate": _share(clicked, opened),
        "unsubscribes": left,
        "unsubscribe_uniques": left,
        "unsubscribe_rate": _share(left, delivered),
        "conversions": len(orders),
        "conversion_uniques": buyers,
        "conversion_rate": _share(buyers, delivered),
        "conversion_value": value,
        "revenue_per_recipient": _share(value, delivered),
        "average_order_value": _share(value, len(orders)),
    }


def _orders(call: Call, campaign: Campaign, metric: str) -> list[Event]:
    """The events of the metric that recipients caused soon after the campaign."""
    people = set(campaign.recipients)
    sent = campaign.sent or 0
    return [
        event
        for event in call.account.events
        if event.metric.id == metric
        and event.profile in people
        and sent <= event.timestamp < sent + ATTRIBUTED
    ]


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _conditions(text: str | None) -> list[Condition]:
    found = parse(text) if text else []
    for condition in found:
        if condition.operator not in {"equals", "contains-any"}:
            raise invalid("Reports know equals and contains-any.", "/data/attributes/filter")
        if isinstance(condition.value, list) and len(condition.value) > MOST_VALUES:
            raise invalid(f"At most {MOST_VALUES} values.", "/data/attributes/filter")
    return found


def _timeframe(given: Mapping[str, str], now: float) -> tuple[float, float]:
    if "key" not in given:
        return moment(given["start"]), moment(given["end"])
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    key = given["key"]
    start, end = today, today + timedelta(days=1)
    days = {"last_7_days": 7, "last_30_days": 30, "last_90_days": 90, "last_365_days": 365}
    if key == "yesterday":
        start, end = today - timedelta(days=1), today
    elif key in days:
        start = today - timedelta(days=days[key])
    elif key.endswith("week"):
        start = today - timedelta(days=today.weekday())
        if key == "last_week":
            start, end = start - timedelta(days=7), start
    elif key.endswith("year"):
        start = today.replace(month=1, day=1)
        if key == "last_year":
            start, end = start.replace(year=start.year - 1), start
    elif key != "today":
        start, end = _months(key, today, end)
    return start.timestamp(), end.timestamp()


def _months(key: str, today: datetime, end: datetime) -> tuple[datetime, datetime]:
    first = today.replace(day=1)
    if key == "this_month":
        return first, end
    back = {"last_month": 1, "last_3_months": 3, "last_12_months": 12}[key]
    months = first.year * 12 + first.month - 1 - back
    return first.replace(year=months // 12, month=months % 12 + 1), first


HANDLERS: Mapping[str, Handler] = {"query_campaign_values": query_campaign_values}
