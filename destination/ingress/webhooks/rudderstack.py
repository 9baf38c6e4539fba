"""RudderStack's Webhook and HTTP Webhook destinations.

A body is an event or an array of events. They are not signed: a header that the user adds carries
the secret. ``record`` events (reverse ETL) become row events, see ``normalise``.
"""

from __future__ import annotations

from destination.ingress.format import Format
from destination.ingress.signature import verify_secret
from destination.ingress.webhooks.messages import read_messages

FORMAT = Format(
    name="rudderstack",
    description="RudderStack: Webhook, HTTP Webhook",
    parse=read_messages,
    verify=verify_secret,
    methods=("POST", "PUT", "PATCH"),
)
