"""Finding profiles by their identifiers, a hundred at a time and to the last page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from destination.delivery import Delivered, Discard, Outcome, Retry
from destination.errors import Ended
from destination.klaviyo.answers import attributes_of, pages
from destination.klaviyo.batch import send_rows
from destination.klaviyo.limits import BODY_BYTES, LOOKUP, Bulk
from destination.klaviyo.model import IDENTIFIERS, Json
from destination.klaviyo.requests import any_of, equals, get_profiles, literal
from destination.sending import Account, Request, Response

Page = Callable[[str, str], Request]
"""``page(filter, cursor)`` is the request for a page of what a filter selects."""

KINDS = ("external_id", "email", "phone_number")
"""The identifiers to look profiles up by, in Segment's order."""

FILTER_LENGTH = 6_000
"""The longest encoded filter: servers refuse request lines of 8 KB."""

Who = tuple[str, str]
"""One identifier of a person: its name and its value as ``key`` writes it."""


def key(name: str, value: Any) -> Who:
    """An identifier in the form that is compared: Klaviyo takes e-mail addresses without case."""
    text = str(value)
    return (name, text.lower() if name == "email" else text)


def who(payload: Mapping[str, Any]) -> frozenset[Who]:
    """The identifiers of a payload or of a profile's attributes."""
    return frozenset(
        [
            (name, value) if value.__class__ is str and name != "email" else key(name, value)
            for name in IDENTIFIERS
            if (value := payload.get(name))
        ]
    )


SAME_PERSON = Retry(
    "same_person_in_batch",
    "an earlier row of the batch shares an identifier with this one; it goes in the next request",
    after=0.0,
    spends=False,
)


def by_person(payloads: Sequence[Mapping[str, Any]]) -> tuple[list[list[int]], list[int]]:
    """The rows of each person, and the rows that must wait for the next request.

    Rows with equal identifiers are one person's. A row that shares only some identifiers waits, as
    does every row after it that shares one with it.
    """
    related = _related(payloads)
    people: list[list[int]] = []
    known: dict[frozenset[Who], list[int]] = {}
    taken: set[Who] = set()
    wanted: set[Who] = set()  # by rows that wait
    waiting: list[int] = []
    for index, payload in enumerate(payloads):
        if index not in related:
            people.append([index])
            continue
        names = who(payload)
        if names in known and wanted.isdisjoint(names):
            known[names].append(index)
        elif taken.isdisjoint(names):
            known[names] = [index]
            people.append(known[names])
        else:
            waiting.append(index)
            wanted |= names
        taken |= names
    return people, waiting


def _related(payloads: Sequence[Mapping[str, Any]]) -> set[int]:
    """The rows that share an identifier with another one: few, and only they need a closer look."""
    related: set[int] = set()
    for name in IDENTIFIERS:
        first: dict[str, int] = {}
        for index, payload in enumerate(payloads):
            value = payload.get(name)
            if value:
                text = value if value.__class__ is str else str(value)
                other = first.setdefault(text.lower() if name == "email" else text, index)
                if other != index:
                    related.update((other, index))
    return related


@dataclass(frozen=True, slots=True)
class Found:
    """What a look-up gave: the profiles, and the identifiers that Klaviyo would not look up."""

    profiles: tuple[Json, ...]
    refused: Mapping[Who, Discard]

    _places: Mapping[Who, Sequence[int]] = field(init=False, repr=False, compare=False)
    _nameless: Sequence[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places: dict[Who, list[int]] = {}
        nameless: list[int] = []
        for place, each in enumerate(self.profiles):
            names = who(attributes_of(each))
            for name in names:
                places.setdefault(name, []).append(place)
            if not names:
                nameless.append(place)
        object.__setattr__(self, "_places", places)
        object.__setattr__(self, "_nameless", nameless)

    def ids(self, identifiers: Iterable[Who]) -> list[str]:
        """The ids of the profiles that have one of the identifiers.

        A profile that came without identifiers may be anybody's who was asked for.
        """
        chosen = set(self._nameless).union(*[self._places.get(name, ()) for name in identifiers])
        return [self.profiles[place]["id"] for place in sorted(chosen)]


def find(
    payloads: Sequence[Mapping[str, Any]], account: Account, page: Page = get_profiles
) -> Found:
    """The profiles that have any identifier of any payload. Raises ``Unanswered`` and ``NoRoom``.

    Every value is asked for once. Raises ``Ended`` where the answer is not about the values.
    """
    profiles: dict[str, Json] = {}
    refused: dict[Who, Discard] = {}
    for name in KINDS:
        values = list(
            dict.fromkeys(str(payload[name]) for payload in payloads if payload.get(name))
        )
        for chunk in _chunks(values):
            outcomes = _find(name, chunk, account, page, profiles)
            for value, outcome in zip(chunk, outcomes, strict=True):
                if isinstance(outcome, Discard):
                    refused[key(name, value)] = outcome
                elif not isinstance(outcome, Delivered):
                    raise Ended(outcome)
    return Found(tuple(profiles.values()), refused)


def with_token(token: str, account: Account) -> list[str]:
    """The ids of the profiles that a ``_kx`` stands for. Raises ``Ended`` where it has run out."""
    chosen = equals("_kx", token)
    return [each["id"] for each in pages(lambda cursor: get_profiles(chosen, cursor), account)]


def _find(
    name: str, values: list[str], account: Account, page: Page, profiles: dict[str, Json]
) -> list[Outcome]:
    def accept(response: Response, some: Sequence[str]) -> list[Outcome]:
        chosen = any_of(name, some)
        for each in pages(lambda cursor: page(chosen, cursor), account, response):
            known = attributes_of(profiles.get(each["id"], {}))
            profiles[each["id"]] = {**each, "attributes": {**known, **attributes_of(each)}}
        return [Delivered()] * len(some)

    limit = Bulk(LOOKUP, BODY_BYTES, BODY_BYTES)
    return send_rows(values, lambda some: page(any_of(name, some), ""), account, limit, accept)


def _chunks(values: list[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    length = 0
    for value in values:
        size = len(quote(literal(value))) + 3
        if chunk and (len(chunk) == LOOKUP or length + size > FILTER_LENGTH):
            yield chunk
            chunk, length = [], 0
        chunk.append(value)
        length += size
    if chunk:
        yield chunk
