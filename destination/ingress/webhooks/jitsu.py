"""Jitsu's webhook destination: one Segment-shaped event per request, headers set by the user."""

from __future__ import annotations

from destination.ingress.format import Format
from destination.ingress.signature import verify_secret
from destination.ingress.webhooks.messages import read_messages

FORMAT = Format(
    name="jitsu",
    description="Jitsu: webhook destination",
    parse=read_messages,
    verify=verify_secret,
    methods=("POST", "PUT", "PATCH"),
)
