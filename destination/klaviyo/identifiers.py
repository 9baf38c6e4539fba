"""Who a profile is: the identifiers of a payload, checked and cleaned."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from destination.delivery import Discard
from destination.errors import Ended
from destination.fields.problem import seen
from destination.klaviyo.email import is_email
from destination.klaviyo.phone import to_e164

NAMES: Final = ("id", "email", "phone_number", "external_id", "anonymous_id", "_kx")
"""All identifiers of a profile, in the order in which Klaviyo prefers them."""

PROFILE: Final = frozenset({"email", "phone_number", "external_id"})
"""What Segment's actions identify a profile by."""

EVENT: Final = PROFILE | {"anonymous_id"}
"""What may identify the profile of an event."""

_LONGEST_EXTERNAL_ID: Final = 255
_PROFILE_ID: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}|[A-Za-z0-9]{6}")


def prepare_identifiers(
    payload: dict[str, Any],
    *,
    allow: frozenset[str],
    on_bad_phone: Literal["refuse", "drop"] = "refuse",
) -> dict[str, str]:
    """The identifiers of ``payload`` that are in ``allow``, in the order of ``NAMES``.

    ``country_code`` beside ``phone_number`` says how to read a national number. Empty ones are
    left out. A phone number that cannot be converted ends the row (``refuse``, as at Segment) or
    is left out while another identifier remains (``drop``).

    Raises ``Ended`` with a ``Discard``: ``invalid_email``, ``invalid_phone_number``,
    ``invalid_external_id``, ``invalid_profile_id``, ``missing_identifier``.
    """
    found: dict[str, str] = {}
    bad_phone: Discard | None = None
    for name in NAMES:
        value = payload.get(name)
        if name not in allow or value is None or value == "":
            continue
        text, fault = _CHECKS[name](value, payload)
        if fault is None:
            found[name] = text
        elif name == "phone_number" and on_bad_phone == "drop":
            bad_phone = fault
        else:
            raise Ended(fault)
    if not found:
        raise Ended(bad_phone or _missing(allow))
    return found


def _missing(allow: frozenset[str]) -> Discard:
    wanted = ", ".join(name for name in NAMES if name in allow)
    return Discard("missing_identifier", f"none of {wanted} has a value; map at least one")


Checked = tuple[str, Discard | None]


def _email(value: Any, _payload: dict[str, Any]) -> Checked:
    if isinstance(value, str) and is_email(value):
        return value, None
    message = f"{seen(value)} is not an address that Klaviyo takes, such as ana@acme.io"
    return "", Discard("invalid_email", message, "email")


def _phone(value: Any, payload: dict[str, Any]) -> Checked:
    country = payload.get("country_code")
    number = to_e164(value, country)
    if number is not None:
        return number, None
    if country:
        why = f"is not a valid number of {seen(country)}"
    else:
        why = "is not E.164 (+14155552671) and there is no country_code to read it with"
    return "", Discard("invalid_phone_number", f"{seen(value)} {why}", "phone_number")


def _external_id(value: Any, _payload: dict[str, Any]) -> Checked:
    text = value if isinstance(value, str) else str(value)
    length = len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
    if length <= _LONGEST_EXTERNAL_ID:
        return text, None
    message = f"{seen(text)} has {length} characters (UTF-16), at most {_LONGEST_EXTERNAL_ID} fit"
    return "", Discard("invalid_external_id", message, "external_id")


def _profile_id(value: Any, _payload: dict[str, Any]) -> Checked:
    if isinstance(value, str) and _PROFILE_ID.fullmatch(value):
        return value, None
    message = f"{seen(value)} is not a Klaviyo profile id, such as 01GDDKASAP8TKDDA2GRZDSVP4H"
    return "", Discard("invalid_profile_id", message, "id")


def _as_text(value: Any, _payload: dict[str, Any]) -> Checked:
    return str(value), None


_CHECKS: Final = {
    "id": _profile_id,
    "email": _email,
    "phone_number": _phone,
    "external_id": _external_id,
    "anonymous_id": _as_text,
    "_kx": _as_text,
}
