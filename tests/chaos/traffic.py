"""The events of a run: made from a seed, so that what must come of them can be worked out."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

LISTS = ("LIST01", "LIST02", "LIST03")
SECRET = "canary-9f3a"
"""Stands in a trait and a property of every person: no log, metric or key may ever show it."""

SHARES = {"identify": 35, "track": 40, "order": 10, "list": 10, "consent": 5}
MAPPINGS = {
    "identify": "segment/identify-to-profile",
    "track": "segment/track-to-event",
    "order": "segment/order-completed",
    "enter": "segment/audience-entered",
    "leave": "segment/audience-exited",
    "subscribe": "segment/subscribe",
    "unsubscribe": "segment/unsubscribe",
}
"""Kind of an event to the mapping of the preset that wants it."""

LANES = {
    "identify": "segment/identify-to-profile",
    "track": "segment/track-to-event",
    "order": "segment/order-completed",
    "enter": "lists",
    "leave": "lists",
    "subscribe": "consent",
    "unsubscribe": "consent",
}
"""Kind of an event to what it keeps its order with."""

METRICS = {"track": "Done", "order": "Order Completed", "product": "Ordered Product"}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One event to post. ``kind`` tells what it is, ``n`` its place, ``email`` whose it is."""

    kind: str
    n: int
    person: int
    body: Json

    @property
    def id(self) -> str:
        """The messageId."""
        return str(self.body["messageId"])

    @property
    def email(self) -> str:
        """The person's address."""
        return email(self.person)

    @property
    def mapping(self) -> str:
        """The mapping that wants it."""
        return MAPPINGS[self.kind]


def email(person: int) -> str:
    """The address of a person; of every fifth it is the userId as well."""
    return f"person{person}@acme.io"


@dataclass(slots=True)
class Traffic:
    """Makes messages about ``people`` persons; ``tag`` keeps the ids of two runs apart.

    The same seed makes the same messages. ``shares`` says how many of a hundred are of which kind.
    """

    seed: int
    people: int = 40
    tag: str = "m"
    shares: dict[str, int] = field(default_factory=lambda: dict(SHARES))
    _n: int = 0
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(f"{self.seed}:{self.tag}")

    def take(self, count: int, *, script: Sequence[str] = (), **kind: str) -> list[Message]:
        """The next messages; all of ``kind=...`` when given, and with this ``__script``."""
        return [self._message(kind.get("kind"), script) for _ in range(count)]

    def each(self, count: int) -> Iterator[Message]:
        """The next messages, one by one."""
        for _ in range(count):
            yield self._message(None, ())

    def _message(self, kind: str | None, script: Sequence[str]) -> Message:
        n = self._n
        self._n += 1
        rng = self._random
        if kind is None:
            kind = rng.choices(list(self.shares), weights=list(self.shares.values()))[0]
        person = rng.randrange(self.people)
        if kind == "list":
            kind = rng.choice(("enter", "enter", "leave"))
        elif kind == "consent":
            kind = rng.choice(("subscribe", "unsubscribe"))
        return message(kind, n, person, tag=self.tag, script=script, chosen=rng.choice(LISTS))


def message(
    kind: str,
    n: int,
    person: int,
    *,
    tag: str = "m",
    script: Sequence[str] = (),
    chosen: str = LISTS[0],
    **more: Any,
) -> Message:
    """One message; ``more`` goes into its traits or properties."""
    mid = f"{tag}-{n}"
    # Some sources take the address for the userId.
    about: Json = {"userId": f"u-{person}" if person % 5 else email(person)}
    traits = {"email": email(person)}
    data: Json = {"n": n, "mid": mid, "secret": SECRET, **more}
    if script:
        data["__script"] = list(script)
    common: Json = {"messageId": mid, **about, "timestamp": _timestamp(n)}
    if kind == "identify":
        # Eight traits in turn: the last value of each shows which writes have been lost.
        data = {**data, **traits, "last": n, f"turn{n % 8}": n}
        return Message(kind, n, person, {**common, "type": "identify", "traits": data})
    context: Json = {"traits": traits}
    name = {"track": "Done", "order": "Order Completed", "enter": "Audience Entered"}.get(kind)
    if kind == "order":
        data["order_id"], data["total"] = f"o-{mid}", n % 100 + 1
        data["products"] = [{"sku": f"{mid}-{line}", "line": line} for line in range(2)]
    elif kind in {"enter", "leave"}:
        name = "Audience Entered" if kind == "enter" else "Audience Exited"
        context["personas"] = {"external_audience_id": chosen, "computation_key": chosen.lower()}
    elif kind in {"subscribe", "unsubscribe"}:
        name = "User Subscribed" if kind == "subscribe" else "User Unsubscribed"
        data["email"] = email(person)
    body = {**common, "type": "track", "event": name, "properties": data, "context": context}
    return Message(kind, n, person, body)


def _timestamp(n: int) -> str:
    """A time in the past, a second for each message: no two at once, since Klaviyo counts seconds."""
    day, second = divmod(n, 86_400)
    hour, rest = divmod(second, 3600)
    return f"2026-03-{1 + day % 28:02}T{hour:02}:{rest // 60:02}:{rest % 60:02}.000Z"
