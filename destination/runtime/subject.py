"""A person by their identifiers, and which events concern them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from destination.errors import Rejected
from destination.event import person
from destination.runtime.store import person_key

KINDS = ("email", "phone", "user_id", "anonymous_id")

_USER_NAMES = frozenset(("userid", "previousid", "externalid", "customerid"))
_ANONYMOUS_NAMES = frozenset(("anonymousid", "previousid"))
_LOOSE = frozenset(("traits", "externalids"))
"""Members in which a plain ``id`` is the person's."""

_PHONE_WORDS = ("phone", "mobile", "cell", "tel", "sms", "number")
_PHONE = re.compile(r"[\d\s().+/-]{7,40}")
SHORTEST_PHONE = 7
"""Digits that a phone number must have; fewer are found in too many other values."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One person. Each identifier alone is enough; all that are known should be given.

    An e-mail address is found in any text of an event, also inside longer ones, whatever its case.
    A phone number is found where it is a whole value, however it is punctuated, and without a plus
    sign where the member's name speaks of a phone; both sides need the country code. Ids are found under the usual names only (``userId``,
    ``external_id``, ``traits.id`` and the like, at any depth): as values they mean nothing.
    """

    email: str = ""
    phone: str = ""
    user_id: str = ""
    anonymous_id: str = ""

    def concerns(self, body: Any) -> bool:
        """Whether an event (any JSON value) is about the person or mentions them."""
        return any(self._is_in(name, value) for name, value in _members("", body))

    def mentioned(self, text: str) -> bool:
        """Whether a text holds the address or is the phone number, with its plus sign."""
        if self.email and self._in_text(text):
            return True
        return text.lstrip().startswith(("+", "00")) and self.dialled(text)

    def people(self) -> frozenset[str]:
        """The digests under which rows of the person may stand, as in ``Row.person``."""
        forms = (
            {"userId": self.user_id},
            {"anonymousId": self.anonymous_id},
            {"traits": {"email": self.email}},
        )
        return frozenset(person_key(name) for form in forms if (name := person(form)))

    def hashes(self) -> dict[str, str]:
        """Kind -> SHA-256 of each identifier, for a receipt that holds nothing personal."""
        given = {kind: getattr(self, kind) for kind in KINDS}
        return {
            kind: hashlib.sha256(value.encode()).hexdigest()
            for kind, value in given.items()
            if value
        }

    def _is_in(self, name: str, value: Any) -> bool:
        if isinstance(value, str):
            if self.mentioned(value):
                return True
        elif not isinstance(value, int) or isinstance(value, bool):
            return False
        text = str(value)
        if any(word in name for word in _PHONE_WORDS) and self.dialled(text):
            return True
        return bool(text) and (
            (name in _USER_NAMES and text == self.user_id)
            or (name in _ANONYMOUS_NAMES and text == self.anonymous_id)
        )

    def _in_text(self, text: str) -> bool:
        if self.email not in text.lower():
            return False
        around = rf"(?<![\w.+%-]){re.escape(self.email)}(?![\w-]|\.\w)"
        return re.search(around, text, re.IGNORECASE) is not None

    def dialled(self, text: str) -> bool:
        """Whether a text is the phone number, with or without its plus sign."""
        return (
            bool(self.phone)
            and _PHONE.fullmatch(text.strip()) is not None
            and _digits(text) == self.phone
        )


def subject(given: dict[str, Any]) -> Subject:
    """The person with these identifiers, in the form in which they are compared.

    Raises ``Rejected`` 400 for none, and for what cannot be one.
    """
    values = {kind: str(given.get(kind) or "").strip() for kind in KINDS}
    if not any(values.values()):
        raise Rejected(400, "bad_request", f"say who: give {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    if values["email"] and not re.fullmatch(r"[^\s@]+@[^\s@]+", values["email"]):
        raise Rejected(400, "bad_request", "the e-mail address is none: it needs one @")
    digits = _digits(values["phone"])
    if values["phone"] and len(digits) < SHORTEST_PHONE:
        raise Rejected(
            400,
            "bad_request",
            f"the phone number needs its country code and {SHORTEST_PHONE} digits at least",
        )
    return Subject(values["email"].lower(), digits, values["user_id"], values["anonymous_id"])


def subject_of(body: dict[str, Any]) -> Subject | None:
    """The person that an event is about, by its ids and the e-mail address and phone number in its
    traits; None when it names nobody.
    """
    context = body.get("context")
    contained = context.get("traits") if isinstance(context, dict) else None
    found: dict[str, Any] = {
        "user_id": body.get("userId"),
        "anonymous_id": body.get("anonymousId"),
    }
    for traits in (contained, body.get("traits")):
        for kind in ("email", "phone"):
            if isinstance(traits, dict) and isinstance(traits.get(kind), str):
                found[kind] = traits[kind]
    for kind in list(found):
        try:
            subject({kind: found[kind]})
        except Rejected:
            del found[kind]
    return subject(found) if found else None


def identifiers_in(body: Any) -> Iterator[tuple[str, str]]:
    """The identifiers in an event (any JSON value), each with its kind, in the form in which a
    ``Subject`` holds them: whole values only, found where ``Subject.concerns`` finds them.
    """
    for name, value in _members("", body):
        if isinstance(value, bool) or not isinstance(value, str | int):
            continue
        text = str(value).strip()
        if "@" in text:
            yield "email", text.lower()
        if name in _USER_NAMES:
            yield "user_id", text
        if name in _ANONYMOUS_NAMES:
            yield "anonymous_id", text
        named = any(word in name for word in _PHONE_WORDS)
        if (named or text.startswith(("+", "00"))) and _PHONE.fullmatch(text):
            yield "phone", _digits(text)


def _digits(text: str) -> str:
    return "".join(char for char in text if char in "0123456789").removeprefix("00")


def _members(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every value that is no container, with the plain name of its member; the names as well."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield "", key
            plain = key.lower().replace("_", "").replace("-", "")
            yield from _members("userid" if plain == "id" and name in _LOOSE else plain, item)
    elif isinstance(value, list):
        for item in value:
            yield from _members(name, item)
    else:
        yield name, value
