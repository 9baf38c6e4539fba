"""Campaigns: make, change, copy, read."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from destination.sandbox.calls.call import EMPTY, Answer, Call, Handler
from destination.sandbox.calls.documents import references, resource, single
from destination.sandbox.calls.filters import conditions, matching
from destination.sandbox.calls.messages import check_definition, message_document, own_copy
from destination.sandbox.calls.paging import collection
from destination.sandbox.clock import written, written_or_none
from destination.sandbox.errors import Problem, Refused, invalid, not_found
from destination.sandbox.world.campaigns import DRAFT, Campaign, Message

TIMES = {"created_at": "created", "updated_at": "updated", "scheduled_at": "scheduled"}


def get_campaigns(call: Call) -> Answer:
    """GET /campaigns: a filter on the channel is mandatory."""
    found = conditions(call)
    if not any(each.field == "messages.channel" for each in found):
        detail = "A filter on messages.channel is required."
        raise invalid(detail, parameter="filter")
    items = matching(list(call.account.campaigns.values()), found, read)
    return collection(
        call,
        items,
        lambda each: campaign_document(call, each),
        read=read,
        include=lambda page: _included(call, page),
    )


def get_campaign(call: Call) -> Answer:
    """GET /campaigns/{id}."""
    campaign = known(call, call.id)
    included = _included(call, [campaign]) if call.asked("include") else None
    return single(call, 200, campaign_document(call, campaign), included)


def create_campaign(call: Call) -> Answer:
    """POST /campaigns: a draft with its messages; nothing is sent."""
    attributes = call.body["data"]["attributes"]
    messages = attributes["campaign-messages"]["data"]
    problems = _check_audiences(call, attributes["audiences"])
    if not attributes["name"].strip():
        problems.append(Problem("This field may not be blank.", "/data/attributes/name"))
    place = "/data/attributes/campaign-messages/data"
    if not messages:
        problems.append(Problem("At least one message must be given.", place))
    for index, message in enumerate(messages):
        start = f"{place}/{index}/attributes/definition"
        problems += check_definition(message["attributes"]["definition"], start)
    if problems:
        raise Refused(400, problems)
    definitions = [each["attributes"]["definition"] for each in messages]
    campaign = _new(call, attributes["name"], attributes, definitions)
    return single(call, 201, campaign_document(call, campaign))


def update_campaign(call: Call) -> Answer:
    """PATCH /campaigns/{id}: of a draft."""
    campaign = known(call, call.id)
    check_draft(call, campaign)
    attributes = call.body["data"]["attributes"]
    audiences = attributes.get("audiences")
    if audiences is not None:
        changed = {k: v for k, v in audiences.items() if v is not None}
        problems = _check_audiences(call, {**campaign.audiences, **changed})
        if problems:
            raise Refused(400, problems)
        campaign.audiences = {**campaign.audiences, **changed}
    campaign.name = attributes.get("name") or campaign.name
    campaign.strategy = attributes.get("send_strategy") or campaign.strategy
    campaign.options = attributes.get("send_options") or campaign.options
    campaign.tracking = attributes.get("tracking_options") or campaign.tracking
    campaign.updated = call.now
    return single(call, 200, campaign_document(call, campaign))


def delete_campaign(call: Call) -> Answer:
    """DELETE /campaigns/{id}, with its messages."""
    campaign = known(call, call.id)
    for message in campaign.messages:
        del call.account.messages[message.id]
    del call.account.campaigns[campaign.id]
    return EMPTY


def create_campaign_clone(call: Call) -> Answer:
    """POST /campaign-clone: a draft again, whatever became of the original."""
    data = call.body["data"]
    source = known(call, data["id"])
    name = data["attributes"].get("new_name") or f"{source.name} (clone)"
    attributes = {
        "audiences": source.audiences,
        "send_strategy": source.strategy,
        "send_options": source.options,
        "tracking_options": source.tracking,
    }
    campaign = _new(call, name, attributes, [each.definition for each in source.messages])
    for message, original in zip(campaign.messages, source.messages, strict=True):
        if original.template:
            message.template = own_copy(call, original.template)
    return single(call, 201, campaign_document(call, campaign))


def campaign_document(call: Call, campaign: Campaign) -> dict[str, Any]:
    """A campaign as the API shows it."""
    attributes = {
        "name": campaign.name,
        "status": campaign.status,
        "archived": False,
        "audiences": campaign.audiences,
        "send_options": campaign.options,
        "tracking_options": campaign.tracking,
        "send_strategy": campaign.strategy,
        "created_at": written(campaign.created),
        "scheduled_at": written_or_none(campaign.scheduled),
        "updated_at": written(campaign.updated),
        "send_time": written_or_none(campaign.sent),
    }
    messages = references("campaign-message", [each.id for each in campaign.messages])
    relations = {"campaign-messages": messages, "tags": None}
    return resource(call, "campaign", campaign.id, attributes, relations)


def known(call: Call, identifier: str) -> Campaign:
    """The campaign with that id; raises ``Refused`` (404)."""
    campaign = call.account.campaigns.get(identifier)
    if campaign is None:
        raise not_found("campaign", identifier)
    return campaign


def check_draft(call: Call, campaign: Campaign) -> None:
    """Raise ``Refused`` (400) unless the campaign may be changed."""
    if call.switches.edit_drafts_only and campaign.status != DRAFT:
        raise invalid(f"A campaign that is {campaign.status} cannot be changed.", "/data/id")


def read(campaign: Campaign, field: str) -> Any:
    """What a filter or sort on ``field`` sees."""
    if field == "messages.channel":
        return campaign.channel
    if field == "archived":
        return False
    return getattr(campaign, TIMES.get(field, field), None)


def _new(
    call: Call, name: str, attributes: Mapping[str, Any], definitions: list[dict[str, Any]]
) -> Campaign:
    account = call.account
    campaign = Campaign(
        id=account.ids.ulid("campaign", call.now),
        number=len(account.campaigns) + 1,
        name=name,
        audiences={"excluded": [], **attributes["audiences"]},
        strategy=attributes.get("send_strategy") or {"method": "immediate"},
        options=attributes.get("send_options") or {"use_smart_sending": True},
        tracking=attributes.get("tracking_options"),
        created=call.now,
        updated=call.now,
    )
    account.campaigns[campaign.id] = campaign
    for definition in definitions:
        identifier = account.ids.ulid("campaign-message", call.now)
        own = copy.deepcopy(definition)
        if own["channel"] == "mobile_push":
            own.setdefault("notification_type", "standard")
        message = Message(identifier, campaign.id, own, call.now, call.now)
        campaign.messages.append(message)
        account.messages[message.id] = message
    return campaign


def _check_audiences(call: Call, audiences: Mapping[str, Any]) -> list[Problem]:
    place = "/data/attributes/audiences"
    if not audiences.get("included"):
        return [Problem("At least one audience must be included.", f"{place}/included")]
    account = call.account
    return [
        Problem(f"The audience {each[:60]} does not exist.", f"{place}/{part}/{index}")
        for part in ("included", "excluded")
        for index, each in enumerate(audiences.get(part) or [])
        if account.lists.get(each) is None and account.segments.get(each) is None
    ]


def _included(call: Call, page: Any) -> list[Any]:
    if "campaign-messages" not in call.asked("include"):
        return []
    return [message_document(call, message) for each in page for message in each.messages]


HANDLERS: Mapping[str, Handler] = {
    "get_campaigns": get_campaigns,
    "get_campaign": get_campaign,
    "create_campaign": create_campaign,
    "update_campaign": update_campaign,
    "delete_campaign": delete_campaign,
    "create_campaign_clone": create_campaign_clone,
}
