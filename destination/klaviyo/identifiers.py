"""Who a profile is: the identifiers of a payload, checked and cleaned."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from destination.delivery import Discard
from destination.errors import Ended
from destination.fields.problem import seen
from destination.klaviyo import email
from destination.klaviyo.phone import to_e164

PROFILE: Final = ("email", "phone_number", "external_id")
"""What Segment's actions identify a profile by, in the order in which Klaviyo prefers them: it
takes ``id`` before these, ``anonymous_id`` and ``_kx`` after them."""

EVENT: Final = (*PROFILE, "anonymous_id")
"""What may identify the profile of an event."""

_LONGEST_EXTERNAL_ID: Final = 255  # Segment's figure; Klaviyo publishes none
_SURELY_SHORT: Final = _LONGEST_EXTERNAL_ID // 2  # a character counts as one or two
_PLAIN: Final = frozenset({"external_id", "anonymous_id", "_kx"})
_PROFILE_ID: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}|[A-Za-z0-9]{6}")


def prepare_identifiers(
    payload: dict[str, Any],
    *,
    allow: Sequence[str],
    on_bad_phone: Literal["refuse", "drop"] = "refuse",
    is_email: Callable[[str], bool] = email.is_email,
) -> dict[str, str]:
    """The identifiers of ``payload`` that are in ``allow``, and in its order.

    ``country_code`` beside ``phone_number`` says how to read a national number. Empty ones are
    left out. A phone number that cannot be converted ends the row (``refuse``, as at Segment) or
    is left out while another identifier remains (``drop``, as Klaviyo itself does). ``is_email`` is
    the rule for e-mail addresses.

    Raises ``Ended`` with a ``Discard``: ``invalid_email``, ``invalid_phone_number``,
    ``invalid_external_id``, ``invalid_profile_id``, ``missing_identifier``.
    """
    found = with_identifiers(payload, allow, is_email, on_bad_phone=on_bad_phone)
    return {name: found[name] for name in allow if name in found}


def with_identifiers(
    payload: dict[str, Any],
    allow: Sequence[str],
    is_email: Callable[[str], bool] = email.is_email,
    *,
    on_bad_phone: Literal["refuse", "drop"] = "refuse",
) -> dict[str, Any]:
    """The payload with ``prepare_identifiers`` in it and what they were made of left out.

    Most payloads are right already and are given back as they are. Raises ``Ended``.
    """
    turned: dict[str, str | None] = {"country_code": None} if "country_code" in payload else {}
    some = False
    dropped: Discard | None = None
    for name in allow:
        if name not in payload:
            continue
        value = payload[name]
        if name in _PLAIN and value.__class__ is str and 0 < len(value) <= _SURELY_SHORT:
            some = True
            continue
        if value is None or value == "":
            turned[name] = None
            continue
        if name == "email":
            read = _email(value, is_email)
        elif name == "phone_number":
            read = _phone(value, payload.get("country_code"))
        else:
            read = _id(name, value)
        if isinstance(read, str):
            some = True
            if read is not value:
                turned[name] = read
        elif name == "phone_number" and on_bad_phone == "drop":
            turned[name], dropped = None, read
        else:
            raise Ended(read)
    if not some:
        raise Ended(dropped or _missing(allow))
    return _turned(payload, turned) if turned else payload


def _turned(payload: dict[str, Any], turned: dict[str, str | None]) -> dict[str, Any]:
    """The payload with other values, those that are None left out."""
    found = {name: turned.get(name, value) for name, value in payload.items()}
    for name, value in turned.items():
        if value is None:
            del found[name]
    return found


def _missing(allow: Sequence[str]) -> Discard:
    wanted = ", ".join(allow)
    return Discard("missing_identifier", f"none of {wanted} has a value; map at least one")


def _email(value: Any, is_email: Callable[[str], bool]) -> str | Discard:
    if isinstance(value, str) and is_email(value):
        return value
    message = f"{seen(value)} is not an address that Klaviyo takes, such as ana@acme.io"
    return Discard("invalid_email", message, "email")


def _phone(value: Any, country: Any) -> str | Discard:
    number = to_e164(value, country)
    if number is not None:
        return number
    if country:
        message = f"{seen(value)} is not a valid number of {seen(country)}"
    else:
        message = (
            f"{seen(value)} is not E.164 (+14155552671); send it so, or map country_code to read "
            "national numbers"
        )
    return Discard("invalid_phone_number", message, "phone_number")


def _id(name: str, value: Any) -> str | Discard:
    text = value if isinstance(value, str) else str(value)
    if name == "external_id":
        length = len(text.encode("utf-16-le", "surrogatepass")) // 2
        if length > _LONGEST_EXTERNAL_ID:
            most = f"at most {_LONGEST_EXTERNAL_ID} fit; map a shorter one"
            message = f"{seen(text)} has {length} characters (UTF-16), {most}"
            return Discard("invalid_external_id", message, "external_id")
    if name == "id" and not _PROFILE_ID.fullmatch(text):
        message = f"{seen(value)} is not a Klaviyo profile id, such as 01GDDKASAP8TKDDA2GRZDSVP4H"
        return Discard("invalid_profile_id", message, "id")
    return text
