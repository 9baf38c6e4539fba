"""The messages of campaigns: what they look like and what they may hold."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from destination.sandbox.calls import templates
from destination.sandbox.calls.call import Call
from destination.sandbox.calls.documents import reference, related, resource
from destination.sandbox.calls.rules import valid_email
from destination.sandbox.clock import written
from destination.sandbox.errors import Problem, not_found
from destination.sandbox.world.campaigns import Message


def message_document(call: Call, message: Message) -> dict[str, Any]:
    """A message as the API shows it."""
    attributes = {
        "definition": message.definition,
        "send_times": None,
        "created_at": written(message.created),
        "updated_at": written(message.updated),
    }
    relations = {"campaign": reference("campaign", message.campaign), "image": None}
    document = resource(call, "campaign-message", message.id, attributes, relations)
    held = reference("template", message.template) if message.template else None
    link = document["links"]["self"]
    document["relationships"]["template"] = {**related(link, "template", None), "data": held}
    return document


def known_message(call: Call, identifier: str) -> Message:
    """The message with that id; raises ``Refused`` (404)."""
    message = call.account.messages.get(identifier)
    if message is None:
        raise not_found("campaign-message", identifier)
    return message


def check_definition(definition: Mapping[str, Any], place: str) -> list[Problem]:
    """Problems with a message's definition that no schema states."""
    content = definition.get("content") or {}
    return [
        Problem("Invalid email address", f"{place}/content/{name}")
        for name in ("from_email", "reply_to_email", "cc_email", "bcc_email")
        if definition["channel"] == "email"
        and content.get(name)
        and not valid_email(content[name])
        and "{{" not in content[name]
    ]


def own_copy(call: Call, identifier: str) -> str:
    """The id of a copy of a template, for one message alone; raises ``Refused`` (404)."""
    source = templates.known(call, identifier)
    parts = {part: copy.deepcopy(getattr(source, part)) for part in templates.PARTS}
    return templates.new_template(call, source.name, source.editor_type, parts, reusable=False).id
