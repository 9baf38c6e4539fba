"""Campaigns: what is sent to whom, when, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DRAFT, SCHEDULED, SENDING, SENT, CANCELLED = "Draft", "Scheduled", "Sending", "Sent", "Cancelled"
NO_RECIPIENTS = "Cancelled: No Recipients"
# Where marketing goes: the channel of consent and the address it needs.
REACH: Mapping[str, tuple[str, str | None]] = {
    "email": ("email.marketing", "email"),
    "sms": ("sms.marketing", "phone_number"),
    "mobile_push": ("push.marketing", None),
}


@dataclass(slots=True)
class Message:
    """One message; ``template`` is the id of its own copy."""

    id: str
    campaign: str
    definition: dict[str, Any]
    created: float
    updated: float
    template: str | None = None


@dataclass(slots=True)
class Campaign:
    """One campaign. ``job`` is its send job's status; ``recipients`` are set when it was sent."""

    id: str
    number: int
    name: str
    audiences: dict[str, Any]
    strategy: dict[str, Any]
    options: dict[str, Any]
    tracking: dict[str, Any] | None
    created: float
    updated: float
    messages: list[Message] = field(default_factory=list)
    status: str = DRAFT
    scheduled: float | None = None
    sent: float | None = None
    job: str | None = None
    run: int = 0
    estimation: str | None = None
    estimated: int | None = None
    recipients: list[str] = field(default_factory=list)

    @property
    def channel(self) -> str:
        """``email``, ``sms`` or ``mobile_push``."""
        return str(self.messages[0].definition["channel"])
