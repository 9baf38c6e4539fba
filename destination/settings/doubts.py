"""Settings that contradict each other, or that look like a mistake."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from destination.errors import SettingsError
from destination.settings.model import FLAT, Settings, setting_name
from destination.settings.shown import masked


def is_loopback(host: str) -> bool:
    """True when only this machine can reach ``host``."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_write_keys(settings: Settings) -> None:
    """Raise ``SettingsError`` when nobody could post to some source: for whoever starts to serve."""
    for source in settings.sources.values():
        if not source.write_keys and not source.signing_secrets:
            raise SettingsError(
                f"source {source.name!r} has no write key, so nobody could post to it."
                " Set DESTINATION_WRITE_KEY to a long random text, for example what"
                " `python -c 'import secrets; print(secrets.token_urlsafe(24))'` prints."
            )


def refuse_contradictions(settings: Settings) -> None:
    """Raise ``SettingsError`` for what cannot work together."""
    owners: dict[str, str] = {}
    for source in settings.sources.values():
        if source.connection not in settings.connections:
            raise SettingsError(
                f"source {source.name!r} feeds the connection {source.connection!r}, which is not"
                f" there. There are: {', '.join(settings.connections)}."
            )
        if source.require_full_signature and not source.signing_secrets:
            raise SettingsError(
                f"source {source.name!r} requires a signature and has no secret to check it with."
                " Add signing_secrets, or take require_full_signature out."
            )
        for key in source.write_keys:
            owner = owners.setdefault(key.get_secret_value(), source.name)
            if owner != source.name:
                raise SettingsError(
                    f"sources {owner!r} and {source.name!r} share the write key"
                    f" {masked('write_key', key)}; each needs its own."
                )


def warnings_about(settings: Settings) -> Iterator[str]:
    """What is allowed and looks like a mistake: one sentence each, with the remedy."""
    used = {source.connection for source in settings.sources.values()}
    for connection in settings.connections.values():
        if connection.name not in used:
            yield f"No source feeds the connection {connection.name!r}; add one or remove it."
        if connection.klaviyo_api_key is None:
            continue
        url = urlsplit(connection.klaviyo_api_url)
        if url.scheme == "http" and not is_loopback(url.hostname or ""):
            yield (
                f"The key of the connection {connection.name!r} travels unencrypted to"
                f" {connection.klaviyo_api_url}; use https."
            )
        if re.fullmatch(r"[A-Za-z0-9]{6}", connection.klaviyo_api_key.get_secret_value()):
            yield (
                f"The key of the connection {connection.name!r} looks like Klaviyo's public key of"
                " six characters; a private one is needed (Klaviyo: Settings, API keys)."
            )
    if settings.admin_token and len(settings.admin_token.get_secret_value()) < 16:
        yield "DESTINATION_ADMIN_TOKEN is shorter than 16 characters and could be guessed."
    if settings.limits == "segment" and "body_limit" in settings.origins:
        yield "DESTINATION_BODY_LIMIT has no effect with DESTINATION_LIMITS=segment; remove one."


def misspelt(environ: Mapping[str, str]) -> Iterator[str]:
    """Variables that are nearly settings; others may belong to whoever runs us (Kubernetes)."""
    known = [setting_name(name) for name in FLAT]
    for name in environ:
        if name.startswith(("DESTINATION_", "KLAVIYO_")) and name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.9)
            if close:
                yield f"{name} is not a setting and has no effect; did you mean {close[0]}?"
