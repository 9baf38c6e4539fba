"""Making a list equal to an audience, by difference: who joins, who leaves, who is left alone.

What people did at Klaviyo is kept. Whoever unsubscribed, is suppressed, or was taken off the list by
hand since it was last mirrored is not put on it again, unless that is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from destination.errors import DestinationError
from destination.klaviyo.answers import attributes_of
from destination.klaviyo.email import is_public_email
from destination.klaviyo.identifiers import PROFILE, prepare_identifiers
from destination.klaviyo.model import Json, digest
from destination.klaviyo.people import Who, who

Reason = Literal["suppressed", "unsubscribed", "removed_by_hand"]

KEYS: Final = ("email", "external_id", "phone_number")
"""The identifiers of a person; the first that there is stands for them."""

SHARE, FEW = 0.10, 50
"""What may leave at once without being asked: a tenth of the list, or this many where it is more."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is wanted on the list: ``row`` is posted, ``names`` are their identifiers."""

    names: frozenset[Who]
    row: Json


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who is on the list."""

    id: str
    names: frozenset[Who]
    identifiers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Memory:
    """What the last mirror left behind, as marks of identifiers.

    ``seen`` were wanted and on the list, or are kept off it because they were taken off by hand;
    ``leaving`` were to leave and had not yet.
    """

    seen: frozenset[str] = frozenset()
    leaving: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Difference:
    """``absent`` are wanted and not there (or about to leave), ``surplus`` are there and not wanted,
    ``present`` are both.
    """

    absent: tuple[Person, ...]
    surplus: tuple[Member, ...]
    present: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done. ``kept_out`` are wanted and left off; ``stuck`` should leave, but have no
    identifier by which an event could name them. ``members`` is how many are on the list now.
    """

    add: tuple[Person, ...]
    remove: tuple[Member, ...]
    present: tuple[Person, ...]
    kept_out: tuple[tuple[Person, Reason], ...] = ()
    stuck: tuple[Member, ...] = ()
    members: int = 0
    wanted: int = 0


class Held(DestinationError):
    """More people would leave than may at once; nothing was changed."""


@dataclass(slots=True)
class Wanted:
    """The audience: people, each once, whichever identifiers their rows share."""

    people: list[Person] = field(default_factory=list)
    doubles: int = 0
    _known: set[Who] = field(default_factory=set)

    def add(self, row: Mapping[str, Any], country: str = "") -> None:
        """Add one row: its identifiers checked and cleaned, its other columns as they are.

        A phone number that cannot be read is left out while another identifier remains. Raises
        ``Ended`` with a ``Discard``.
        """
        given = {name: _clean(row.get(name)) for name in KEYS}
        told = {**given, "country_code": row.get("country_code") or country or None}
        found = prepare_identifiers(
            told, allow=PROFILE, on_bad_phone="drop", is_email=is_public_email
        )
        if "email" in found:
            found["email"] = found["email"].lower()
        names = who(found)
        if names <= self._known:
            self.doubles += 1
            return
        self._known |= names
        used = (*KEYS, "country_code")
        others = {name: value for name, value in row.items() if name not in used}
        self.people.append(Person(names, {**found, **others}))


def _clean(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def member_of(resource: Json) -> Member:
    """The member that a profile in Klaviyo's answer is."""
    attributes = attributes_of(resource)
    known = {name: str(attributes[name]) for name in KEYS if attributes.get(name)}
    return Member(resource["id"], who(known), known)


def mark(name: Who) -> str:
    """An identifier as memory holds it: tells people apart without storing who they are."""
    return digest(name)


def marks(names: Iterable[Who]) -> frozenset[str]:
    """The marks of identifiers."""
    return frozenset(map(mark, names))


def key_of(identifiers: Mapping[str, Any]) -> str:
    """The name of the identifier that stands for a person; empty when there is none."""
    return next((name for name in KEYS if identifiers.get(name)), "")


def compare(
    wanted: Sequence[Person], members: Sequence[Member], memory: Memory = Memory()
) -> Difference:
    """Who is missing and who is too many. One shared identifier makes a person a member.

    A member who was told to leave before and has not yet counts as absent when wanted again, so
    that the earlier removal does not have the last word.
    """
    on_list = {name: member for member in members for name in member.names}
    kept: set[str] = set()
    absent: list[Person] = []
    present: list[Person] = []
    for person in wanted:
        found = {on_list[name].id for name in person.names if name in on_list}
        kept |= found
        leaving = found and memory.leaving and marks(person.names) & memory.leaving
        (present if found and not leaving else absent).append(person)
    surplus = tuple(member for member in members if member.id not in kept)
    return Difference(tuple(absent), surplus, tuple(present))


def plan(
    difference: Difference,
    memory: Memory,
    refusal: Callable[[Person], Reason | None],
    *,
    force: bool = False,
) -> Plan:
    """What to do about a difference. ``refusal`` says what Klaviyo knows against a person.

    ``force`` puts everybody on the list who is wanted.
    """
    add: list[Person] = []
    kept_out: list[tuple[Person, Reason]] = []
    for person in difference.absent:
        reason = None if force else _reason(person, memory, refusal)
        if reason is None:
            add.append(person)
        else:
            kept_out.append((person, reason))
    surplus = difference.surplus
    return Plan(
        tuple(add),
        tuple(member for member in surplus if key_of(member.identifiers)),
        difference.present,
        tuple(kept_out),
        tuple(member for member in surplus if not key_of(member.identifiers)),
    )


def _reason(
    person: Person, memory: Memory, refusal: Callable[[Person], Reason | None]
) -> Reason | None:
    if memory.seen and marks(person.names) & memory.seen and not _leaving(person, memory):
        return refusal(person) or "removed_by_hand"
    return refusal(person)


def _leaving(person: Person, memory: Memory) -> bool:
    return bool(marks(person.names) & memory.leaving)


def refusal_in(profile: Json, list_id: str) -> Reason | None:
    """What a profile's consent says against putting it on a list, None for nothing.

    Of somebody with an e-mail address the consent to e-mail counts, else that to SMS.
    """
    subscriptions = _part(attributes_of(profile), "subscriptions")
    channel = "email" if attributes_of(profile).get("email") else "sms"
    marketing = _part(_part(subscriptions, channel), "marketing")
    if str(marketing.get("consent") or "").upper() == "UNSUBSCRIBED":
        return "unsubscribed"
    if _listed(marketing, "suppression"):
        return "suppressed"
    here = [
        each for each in _listed(marketing, "list_suppressions") if each.get("list_id") == list_id
    ]
    return "unsubscribed" if here else None


def _part(whole: Json, name: str) -> Json:
    found = whole.get(name)
    return found if isinstance(found, dict) else {}


def _listed(whole: Json, name: str) -> list[Json]:
    found = whole.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def most_removals(text: str, members: int) -> int:
    """How many may leave a list of so many: ``200``, ``25%``; a tenth or 50 for an empty text.

    Raises ``ValueError``.
    """
    if not text:
        return max(FEW, int(members * SHARE))
    number, percent = text.removesuffix("%").strip(), text.endswith("%")
    if not number.isdecimal() or len(number) > 12 or (percent and int(number) > 100):
        raise ValueError(f"{text[:20]!r} is neither a number of people nor a percentage")
    return members * int(number) // 100 if percent else int(number)


def check_removals(planned: Plan, text: str = "") -> None:
    """Raise ``Held`` when more would leave than may: see ``most_removals``.

    An audience that is empty empties no list unless that is said in so many words.
    """
    leaving = len(planned.remove)
    most = most_removals(text, planned.members)
    if leaving > most:
        raise Held(
            f"{leaving:,} of {planned.members:,} members would leave, and at most {most:,} may at"
            f" once. If that is meant, say --max-removals {leaving}"
        )
    if leaving and not planned.wanted and not text:
        raise Held(
            f"nobody is wanted, so all {planned.members:,} members would leave. If that is meant,"
            f" say --max-removals {leaving}"
        )


def remembered(planned: Plan, there: Iterable[Member]) -> Memory:
    """The memory for the next time, given who is on the list now that the plan was carried out."""
    on_list = {name for member in there for name in member.names}
    people = [*planned.present, *planned.add]
    seen = [name for person in people if person.names & on_list for name in person.names]
    by_hand = [
        name
        for person, reason in planned.kept_out
        if reason == "removed_by_hand"
        for name in person.names
    ]
    leaving = [name for member in planned.remove if member.names & on_list for name in member.names]
    return Memory(marks([*seen, *by_hand]), marks(leaving))
