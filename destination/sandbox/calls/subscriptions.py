"""Consent as profiles show it."""

from __future__ import annotations

from typing import Any

from destination.sandbox.clock import written, written_or_none
from destination.sandbox.world.consent import Consent


def subscriptions(consent: Consent) -> dict[str, Any]:
    """The ``subscriptions`` attribute."""
    return {
        "email": {"marketing": _email(consent)},
        "sms": {
            "marketing": _sms(consent, "marketing"),
            "transactional": _sms(consent, "transactional"),
        },
        "mobile_push": {"marketing": _push(consent)},
        "whatsapp": {
            use: _whatsapp(consent, use)
            for use in ("marketing", "transactional", "conversational")
            if f"whatsapp.{use}" in consent.channels
        },
    }


def _email(consent: Consent) -> dict[str, Any]:
    channel = consent.channel("email.marketing")
    return {
        "can_receive_email_marketing": consent.reaches("email.marketing"),
        "consent": channel.consent,
        "consent_timestamp": written_or_none(channel.given),
        "last_updated": written_or_none(channel.updated),
        "method": channel.method,
        "method_detail": "" if channel.method else None,
        "custom_method_detail": channel.source,
        "double_optin": channel.double,
        "suppression": [
            {"reason": reason, "timestamp": written(since)}
            for reason, since in consent.suppressed.items()
        ],
        "list_suppressions": [
            {"list_id": list_id, "reason": reason, "timestamp": written(since)}
            for (list_id, reason), since in consent.list_suppressed.items()
        ],
    }


def _sms(consent: Consent, use: str) -> dict[str, Any]:
    channel = consent.channel(f"sms.{use}")
    return {
        f"can_receive_sms_{use}": consent.reaches(f"sms.{use}"),
        "consent": channel.consent,
        "consent_timestamp": written_or_none(channel.given),
        "method": channel.method,
        "method_detail": "" if channel.method else None,
        "last_updated": written_or_none(channel.updated),
    }


def _push(consent: Consent) -> dict[str, Any]:
    channel = consent.channel("push.marketing")
    return {
        "can_receive_push_marketing": consent.reaches("push.marketing"),
        "consent": channel.consent,
        "consent_timestamp": written_or_none(channel.given),
    }


def _whatsapp(consent: Consent, use: str) -> dict[str, Any]:
    channel = consent.channel(f"whatsapp.{use}")
    return {
        "can_receive": consent.reaches(f"whatsapp.{use}"),
        "consent": channel.consent,
        "consent_timestamp": written_or_none(channel.given),
        "last_updated": written_or_none(channel.updated),
    }
