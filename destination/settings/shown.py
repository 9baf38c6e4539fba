"""Settings as a person may see them: secrets stay covered."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pydantic import BaseModel, SecretStr

from destination.settings.model import FLAT, Settings, setting_name

SECRETS = {"klaviyo_api_key", "write_key", "signing_secret", "admin_token"} | {
    "write_keys",
    "signing_secrets",
    "alert_url",
    "alert_secret",
}
"""Names of settings whose value is never shown."""

HIDDEN = (r"(//[^/@]*:)[^/@]*(?=@)", r"([?&]password=)[^&]*", r"\b(pk_)\w+")
"""Secrets inside other values: passwords in an address, a private key in the wrong place."""


class Row(NamedTuple):
    """One setting as a person reads it; ``value`` is masked, ``origin`` says who set it."""

    name: str
    value: str
    meaning: str
    origin: str


def describe(settings: Settings) -> list[Row]:
    """Every setting with its value and meaning: what ``destination status --settings`` prints."""
    rows = [
        _row(settings, name, setting_name(name), settings.origins.get(name, "default"))
        for name in FLAT
    ]
    for kind, tables in (("connections", settings.connections), ("sources", settings.sources)):
        for name, record in tables.items():
            fields = (field for field in type(record).model_fields if field != "name")
            rows += [_row(record, field, f"{kind}.{name}.{field}", "") for field in fields]
    return rows


def _row(record: BaseModel, field: str, name: str, origin: str) -> Row:
    value = getattr(record, field)
    shown = "" if value is None else masked(field, value)
    return Row(name, shown, type(record).model_fields[field].description or "", origin)


def masked(name: str, value: Any) -> str:
    """``value`` as it may be shown: secrets and the password of an address starred, bounded."""
    if isinstance(value, tuple | list):
        return ", ".join(masked(name, item) for item in value)
    if isinstance(value, SecretStr):
        value, name = value.get_secret_value(), "klaviyo_api_key"
    text = str(value)
    if name in SECRETS:
        return "****" + (text[-4:] if len(text) >= 20 else "")
    for pattern in HIDDEN:
        text = re.sub(pattern, r"\1****", text)
    return text if len(text) <= 80 else text[:79] + "…"
