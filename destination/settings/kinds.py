"""What the value of a setting may look like: one checked type each.

A complaint says what to write instead.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from destination.ingress.format import Scheme


def _split(value: Any) -> Any:
    """A comma-separated text as its parts, without empty ones; anything else as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _sendable(secret: SecretStr) -> SecretStr:
    """Refuse what no HTTP header can carry: it would fail at the first request instead of here."""
    if not secret.get_secret_value():
        raise ValueError("it is empty; leave the setting out instead")
    if not re.fullmatch(r"[\x21-\x7e]+", secret.get_secret_value()):
        raise ValueError("it holds spaces, line ends or non-ASCII characters; copy the key again")
    return secret


def _base_url(url: str) -> str:
    """``https://host[:port]`` without a final slash; requests go to ``{base}/api/...``."""
    parts = _plain(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not a plain http(s) address; write it as https://a.klaviyo.com")
    if parts.path.rstrip("/").endswith("/api"):
        raise ValueError("/api is added to every request; write the address without it")
    return url.rstrip("/")


def _plain(url: str) -> SplitResult | None:
    """The parts of an address with nothing but scheme, host, port and path; else None."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is no port
    except ValueError:
        return None
    return None if parts.query or parts.fragment or parts.username else parts


def _web_address(secret: SecretStr) -> SecretStr:
    """Any http(s) address. It may hold a secret, as Slack's do."""
    try:
        parts = urlsplit(secret.get_secret_value())
        _ = parts.port  # raises when it is no port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an http(s) address; write it as https://host/path")
    return secret


def _redis_url(url: str) -> str:
    if urlsplit(url).scheme not in ("redis", "rediss", "unix"):
        raise ValueError("not a Redis address; write redis://host:6379/0, rediss:// or unix://")
    return url


def _revision(text: str) -> str:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}(\.pre)?", text):
        raise ValueError("not a revision; write a date such as 2026-07-15")
    return text


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", text):
        raise ValueError("not usable as a name; write letters, digits, - and _, at most 64")
    return text


def _known(value: Any) -> Any:
    """Refuse names that a scheme has not; a misspelt one would be left out in silence."""
    names = [field.name for field in dataclasses.fields(Scheme)]
    strange = [name for name in value if name not in names] if isinstance(value, dict) else []
    if strange:
        raise ValueError(f"a signature has no {strange[0]!r}; it has {', '.join(names)}")
    return value


def _lowered(scheme: Scheme) -> Scheme:
    """Header names in lower case, as requests are read."""
    names = ("header", "id_header", "timestamp_header")
    return dataclasses.replace(scheme, **{name: getattr(scheme, name).lower() for name in names})


Secret = Annotated[SecretStr, BeforeValidator(_stripped), AfterValidator(_sendable)]
Secrets = Annotated[tuple[Secret, ...], BeforeValidator(_split)]
Words = Annotated[tuple[str, ...], BeforeValidator(_split)]
BaseUrl = Annotated[str, BeforeValidator(_stripped), AfterValidator(_base_url)]
WebAddress = Annotated[SecretStr, BeforeValidator(_stripped), AfterValidator(_web_address)]
RedisUrl = Annotated[str, BeforeValidator(_stripped), AfterValidator(_redis_url)]
Revision = Annotated[str, BeforeValidator(_stripped), AfterValidator(_revision)]
Name = Annotated[str, AfterValidator(_name)]
Folder = Annotated[Path, AfterValidator(Path.expanduser)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Hours = Annotated[float, Field(gt=0, le=24 * 30, allow_inf_nan=False)]
SignatureScheme = Annotated[Scheme, BeforeValidator(_known), AfterValidator(_lowered)]
Lower = BeforeValidator(_lower)
