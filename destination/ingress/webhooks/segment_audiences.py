"""Segment's Webhook Audiences: requests by which an Engage audience makes or finds its list.

They hold no events and are not signed: they come with a secret in the path or among the extras.
The events that follow are those of ``segment`` with the extras at the root of each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from destination.errors import Rejected
from destination.ingress.format import Inbound, Options
from destination.ingress.normalise import seen
from destination.ingress.webhooks.messages import read_document

MAX_NAME = 255
"""Characters of an audience's name or id that are taken."""


@dataclass(frozen=True, slots=True)
class CreateAudience:
    """Make a list called ``name``, or choose one, and answer ``found`` with its id."""

    name: str
    extras: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GetAudience:
    """See whether the list with this id is still there, and answer ``found`` with its id."""

    external_id: str
    extras: dict[str, Any] = field(default_factory=dict)


def read_create(inbound: Inbound, options: Options) -> CreateAudience:
    """The body of a create request: ``{...extras, "audienceName"}``. Raises ``Rejected`` 400."""
    name, extras = _read(inbound, options, "audienceName")
    return CreateAudience(name, extras)


def read_get(inbound: Inbound, options: Options) -> GetAudience:
    """The body of a get request: ``{...extras, "externalId"}``. Raises ``Rejected`` 400."""
    external_id, extras = _read(inbound, options, "externalId")
    return GetAudience(external_id, extras)


def found(external_id: str) -> dict[str, Any]:
    """The body of the 200 to both requests; Segment takes one without the id for an error."""
    return {"externalId": external_id}


def _read(inbound: Inbound, options: Options, name: str) -> tuple[str, dict[str, Any]]:
    document = read_document(inbound, options)
    value = document.get(name) if type(document) is dict else None
    if type(value) is not str or not value.strip() or len(value) > MAX_NAME:
        raise Rejected(
            400,
            "bad_request",
            f"the body must be an object with {name}, a text of 1 to {MAX_NAME} characters, "
            f"not {seen(document)}",
        )
    return value, {key: extra for key, extra in document.items() if key != name}
