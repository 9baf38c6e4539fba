"""The messages of campaigns: change them, give them a template, read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from destination.sandbox.calls import templates
from destination.sandbox.calls.call import Answer, Call, Handler
from destination.sandbox.calls.campaigns import campaign_document, check_draft, known
from destination.sandbox.calls.documents import reference, references, single
from destination.sandbox.calls.messages import (
    check_definition,
    known_message,
    message_document,
    own_copy,
)
from destination.sandbox.clock import written
from destination.sandbox.errors import Refused, invalid

CONTENT = ("subject", "preview_text", "from_email", "from_label", "reply_to_email")


def get_messages(call: Call) -> Answer:
    """GET /campaigns/{id}/campaign-messages."""
    return _all(call, [message_document(call, each) for each in known(call, call.id).messages])


def get_message_ids(call: Call) -> Answer:
    """GET /campaigns/{id}/relationships/campaign-messages."""
    messages = known(call, call.id).messages
    return _all(call, references("campaign-message", [each.id for each in messages]))


def get_campaign_message(call: Call) -> Answer:
    """GET /campaign-messages/{id}."""
    message = known_message(call, call.id)
    included = None
    if call.asked("include"):
        included = []
        if "campaign" in call.asked("include"):
            included.append(campaign_document(call, known(call, message.campaign)))
        if "template" in call.asked("include") and message.template:
            template = templates.known(call, message.template)
            included.append(templates.template_document(call, template))
    return single(call, 200, message_document(call, message), included)


def update_campaign_message(call: Call) -> Answer:
    """PATCH /campaign-messages/{id}: of a draft."""
    message = known_message(call, call.id)
    check_draft(call, known(call, message.campaign))
    definition = call.body["data"].get("attributes", {}).get("definition")
    if definition is not None:
        problems = check_definition(definition, "/data/attributes/definition")
        if problems:
            raise Refused(400, problems)
        message.definition = definition
    message.updated = call.now
    return single(call, 200, message_document(call, message))


def assign_template(call: Call) -> Answer:
    """POST /campaign-message-assign-template: the message gets a copy of its own."""
    data = call.body["data"]
    message = known_message(call, data["id"])
    check_draft(call, known(call, message.campaign))
    wanted = data["relationships"]["template"].get("data")
    if wanted is None:
        raise invalid("A template must be given.", "/data/relationships/template/data")
    message.template = own_copy(call, wanted["id"])
    message.updated = call.now
    document = message_document(call, message)
    content = message.definition.get("content") or {}
    # This one answer still has the flat shape of older revisions.
    document["attributes"] = {
        "label": message.definition.get("label") or "",
        "channel": message.definition["channel"],
        "content": {name: content.get(name) for name in CONTENT},
        "created_at": written(message.created),
        "updated_at": written(message.updated),
    }
    del document["relationships"]["image"]
    return single(call, 200, document)


def get_campaign_for_message(call: Call) -> Answer:
    """GET /campaign-messages/{id}/campaign."""
    campaign = known(call, known_message(call, call.id).campaign)
    return single(call, 200, campaign_document(call, campaign))


def get_campaign_id_for_message(call: Call) -> Answer:
    """GET /campaign-messages/{id}/relationships/campaign."""
    return Answer(200, {"data": reference("campaign", known_message(call, call.id).campaign)})


def get_template_for_message(call: Call) -> Answer:
    """GET /campaign-messages/{id}/template."""
    template = templates.known(call, known_message(call, call.id).template or "")
    return single(call, 200, templates.template_document(call, template))


def get_template_id_for_message(call: Call) -> Answer:
    """GET /campaign-messages/{id}/relationships/template."""
    held = known_message(call, call.id).template
    return Answer(200, {"data": reference("template", held) if held else None})


def _all(call: Call, items: list[Any]) -> Answer:
    link = f"{call.link_base}{call.operation.path.replace('{id}', call.id)}"
    return Answer(200, {"data": items, "links": {"self": link, "next": None, "prev": None}})


HANDLERS: Mapping[str, Handler] = {
    "get_messages_for_campaign": get_messages,
    "get_message_ids_for_campaign": get_message_ids,
    "get_campaign_message": get_campaign_message,
    "update_campaign_message": update_campaign_message,
    "assign_template_to_campaign_message": assign_template,
    "get_campaign_for_campaign_message": get_campaign_for_message,
    "get_campaign_id_for_campaign_message": get_campaign_id_for_message,
    "get_template_for_campaign_message": get_template_for_message,
    "get_template_id_for_campaign_message": get_template_id_for_message,
}
