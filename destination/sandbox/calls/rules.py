"""Rules that no schema states: identifiers, sizes, counts, times."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from destination.sandbox.clock import moment
from destination.sandbox.errors import Problem

EMAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])"
)
# E.164; the one country whose numbers all have the same length is held to it.
PHONE = re.compile(r"\+(1[2-9]\d{9}|[2-9]\d{6,14})")
PHONE_TEXT = "Invalid phone number format (Example of a valid format: +12345678901)"
NAMED = ("email", "phone_number", "external_id")
ANONYMOUS = (*NAMED, "_kx", "anonymous_id")
EXPIRED = "expired"
"""How a ``_kx`` begins that has run out; Klaviyo's tell their age in a way that only it can read."""
YEAR = 366 * 86_400
FLOOR = moment("1990-01-01T00:00:00Z")
MAX_PROPERTIES, MAX_ITEMS, MAX_NESTING, MAX_TEXT = 400, 4000, 10, 100_000
# A character takes at most four bytes.
SHORT = MAX_TEXT // 4
LEAST, MOST = -(2**63), 2**63 - 1


def valid_email(text: str) -> bool:
    """Whether it could be an address; at most 100 characters (docs: Events API overview)."""
    return len(text) <= 100 and EMAIL.fullmatch(text) is not None


def valid_phone(text: str) -> bool:
    """Whether it is E.164 and of a possible length."""
    return PHONE.fullmatch(text) is not None


def check_identifiers(
    attributes: dict[str, Any], pointer: str, *, forgive_phone: bool, names: tuple[str, ...] = NAMED
) -> tuple[list[Problem], bool]:
    """Problems with a profile's identifiers, and whether its phone number was thrown away.

    ``forgive_phone``: an invalid number beside another identifier is no error. The number is then
    taken out of ``attributes`` (which must be the request's own copy).
    """
    problems = []
    email = attributes.get("email")
    if email is not None and not valid_email(email):
        problems.append(Problem("Invalid email address", f"{pointer}/email"))
    problems += [
        Problem("This field may not be blank.", f"{pointer}/{name}")
        for name in names
        if attributes.get(name) == "" and name not in {"email", "phone_number"}
    ]
    if "_kx" in names and str(attributes.get("_kx") or "").startswith(EXPIRED):
        problems.append(Problem("The exchange id has expired.", f"{pointer}/_kx"))
    phone = attributes.get("phone_number")
    if phone is None or valid_phone(phone):
        return problems, False
    if forgive_phone and any(attributes.get(name) for name in names if name != "phone_number"):
        del attributes["phone_number"]
        return problems, True
    return [*problems, Problem(PHONE_TEXT, f"{pointer}/phone_number")], False


def lacks_identifier(attributes: Mapping[str, Any], names: tuple[str, ...] = NAMED) -> bool:
    """Whether nothing says whose profile this is."""
    return not any(attributes.get(name) for name in names)


def no_identifier(pointer: str, names: tuple[str, ...] = NAMED) -> Problem:
    """The problem of a profile without identifiers."""
    return Problem(f"One or more of {', '.join(names)} must be set.", pointer)


def oversize(value: Any, pointer: str, limit: int, what: str) -> list[Problem]:
    """A problem if ``value``, written as JSON, is longer than ``limit`` bytes."""
    size = len(msgspec.json.encode(value))
    if size <= limit:
        return []
    return [Problem(f"The {what} is {size} bytes long; at most {limit} are allowed.", pointer)]


def check_event(attributes: Mapping[str, Any], pointer: str, now: float) -> Iterator[Problem]:
    """Problems with one event's time, unique id, metric name, currency and properties."""
    unique = attributes.get("unique_id")
    if unique is not None and not 1 <= len(unique) <= 255:
        yield Problem("unique_id must have 1 to 255 characters.", f"{pointer}/unique_id")
    name = attributes["metric"]["data"]["attributes"]["name"]
    if not name or len(name) >= 128:
        place = f"{pointer}/metric/data/attributes/name"
        yield Problem("The metric name must have 1 to 127 characters.", place)
    time = attributes.get("time")
    if time is not None and not FLOOR < moment(time) <= now + YEAR:
        detail = "The time must be after 1990 and at most one year in the future."
        yield Problem(detail, f"{pointer}/time")
    currency = attributes.get("value_currency")
    if currency is not None and not (len(currency) == 3 and currency.isalpha()):
        yield Problem(
            "Invalid currency: an ISO 4217 code is expected.", f"{pointer}/value_currency"
        )
    properties = attributes["properties"]
    place = f"{pointer}/properties"
    if len(properties) > MAX_PROPERTIES:
        detail = f"An event has at most {MAX_PROPERTIES} properties, not {len(properties)}."
        yield Problem(detail, place)
    yield from _check_values(properties, place, 0)


def _check_values(value: Any, pointer: str, depth: int) -> Iterator[Problem]:
    """Problems inside a value that is not ``_harmless``; ``depth`` counts the objects around it."""
    if isinstance(value, str):
        if len(value.encode()) > MAX_TEXT:
            yield Problem(f"A text may have at most {MAX_TEXT} bytes.", pointer)
    elif isinstance(value, (dict, list)) and depth > MAX_NESTING:
        yield Problem(f"Properties may be nested at most {MAX_NESTING} deep.", pointer)
    elif isinstance(value, dict):
        for key, each in value.items():
            if not _harmless(each):
                deeper = depth + isinstance(each, dict)
                yield from _check_values(each, f"{pointer}/{key}", deeper)
    elif isinstance(value, list):
        if len(value) > MAX_ITEMS:
            yield Problem(f"An array may have at most {MAX_ITEMS} items.", pointer)
        for index, each in enumerate(value):
            if not _harmless(each):
                deeper = depth + isinstance(each, (dict, list))
                yield from _check_values(each, f"{pointer}/{index}", deeper)
    else:
        yield Problem("Integers must fit into 64 bits.", pointer)


def _harmless(value: Any) -> bool:
    """Whether a glance is enough: most values of most events are short texts and small numbers."""
    if isinstance(value, str):
        return len(value) <= SHORT
    if isinstance(value, int):
        return LEAST <= value <= MOST
    return not isinstance(value, (dict, list))
