"""Consent and suppression of one profile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SUBSCRIBED, UNSUBSCRIBED, NEVER = "SUBSCRIBED", "UNSUBSCRIBED", "NEVER_SUBSCRIBED"
# What a new subscription lifts; a hard bounce or an invalid address it does not.
LIFTED = {"UNSUBSCRIBE", "SPAM_COMPLAINT", "USER_SUPPRESSED"}
CHANNELS = (
    "email.marketing", "email.open_tracking", "sms.marketing", "sms.transactional",
    "whatsapp.marketing", "whatsapp.transactional", "whatsapp.conversational", "push.marketing",
)  # fmt: skip


@dataclass(slots=True)
class Channel:
    """Consent on one channel; times are seconds since 1970."""

    consent: str = NEVER
    given: float | None = None
    updated: float | None = None
    method: str | None = None
    source: str | None = None
    double: bool | None = None


@dataclass(slots=True)
class Consent:
    """All channels, and why no mail may go out: reason -> time, and (list, reason) -> time."""

    channels: dict[str, Channel] = field(default_factory=dict)
    suppressed: dict[str, float] = field(default_factory=dict)
    list_suppressed: dict[tuple[str, str], float] = field(default_factory=dict)

    def channel(self, name: str) -> Channel:
        """The channel ``email.marketing`` and so on; never subscribed unless something was said."""
        return self.channels.get(name) or Channel()

    def subscribe(
        self, name: str, now: float, given: float, *, source: str | None, double: bool
    ) -> None:
        """Consent was given at ``given``; lifts what a new subscription lifts."""
        method = "API" if source is None else "CUSTOM"
        self.channels[name] = Channel(SUBSCRIBED, given, now, method, source, double)
        if name == "email.marketing":
            for reason in LIFTED & set(self.suppressed):
                del self.suppressed[reason]

    def unsubscribe(self, name: str, now: float) -> None:
        """Consent was withdrawn everywhere; mails are suppressed."""
        self.channels[name] = Channel(UNSUBSCRIBED, None, now, "API")
        if name == "email.marketing":
            self.suppressed.setdefault("UNSUBSCRIBE", now)

    def adopt(self, other: Consent) -> None:
        """Take over, from a profile that is merged into this one, what is not known here."""
        for name, channel in other.channels.items():
            self.channels.setdefault(name, channel)
        for reason, since in other.suppressed.items():
            self.suppressed.setdefault(reason, since)
        for key, since in other.list_suppressed.items():
            self.list_suppressed.setdefault(key, since)

    def reaches(self, name: str) -> bool:
        """Whether marketing may be sent on that channel."""
        consent = self.channel(name).consent
        if name == "email.marketing":
            return consent != UNSUBSCRIBED and not self.suppressed
        return consent == SUBSCRIBED

    def state(self) -> dict[str, Any]:
        """For the control API: ``{"email.marketing": "SUBSCRIBED", ..., "suppressions": [...]}``."""
        held: dict[str, Any] = {name: each.consent for name, each in self.channels.items()}
        if self.suppressed:
            held["suppressions"] = sorted(self.suppressed)
        if self.list_suppressed:
            held["list_suppressions"] = sorted(list(key) for key in self.list_suppressed)
        return held
