"""The records that a destination consists of: actions and what surrounds them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from destination.delivery import Outcome, Retry
from destination.fields import Field
from destination.sending import Account, Request, Response

Payload = dict[str, Any]
"""What a mapping's fields gave for one event, cleaned, validated and prepared by its action."""


@dataclass(frozen=True, slots=True)
class Batch:
    """How an action sends many rows at once.

    ``rows`` and ``bytes`` bound one request (Klaviyo's figures), ``row_bytes`` one row in it.
    ``perform`` gets up to ``rows`` that belong to one request (equal ``group``) and gives an outcome
    per row, in order; it knows what a row becomes, so it keeps to the bytes itself. ``group`` is
    everything of a payload that belongs to the request and not to the row (list, source, ...).
    ``fits`` is False for a row that the bulk endpoint cannot express and that must go through the
    single-record endpoint. ``poll`` tells the ends of the rows of a
    ``Submitted`` job, given their keys in order, or ``Retry`` while it is unfinished. ``scarce`` is
    True where the bulk endpoint has fewer calls than the single-record endpoint, and a later answer:
    a few rows are then better off alone.
    """

    rows: int
    bytes: int
    row_bytes: int
    perform: Callable[[Sequence[Payload], Account], list[Outcome]]
    group: Callable[[Payload], Hashable] = lambda _payload: None
    fits: Callable[[Payload], bool] = lambda _payload: True
    poll: Callable[[str, Sequence[Any], Account], list[Outcome] | Retry] | None = None
    scarce: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a destination can do with an event.

    ``name`` and ``fields`` are Segment's; ``trigger`` is the default FQL. ``prepare`` checks what
    field types cannot (identifiers, phone numbers, times; ``now`` in unix seconds) and gives the
    payload that is sent; it raises ``Ended(Discard(...))`` for a row that must not be sent.
    ``order(fields)`` names what must keep its order across mappings, given a mapping's fields:
    actions of the same non-empty name undo each other (add to a list, remove from it), so what
    they do to one person happens in the order in which the events were accepted. Other
    deliveries keep their order within their mapping.
    ``stamp`` names the field that gets the event's own ``timestamp`` where the mapping gives none.
    ``quiet`` names the boolean field that has an event recorded without setting anything off; a
    late replay sets it where the mapping does not.
    ``digest(payload)`` is the same for payloads of which a second in a row changes nothing; empty
    for one that must always be sent. None where sending twice is never the same as sending once.
    ``goes_before`` names actions whose deliveries wait where an earlier one of this action waits.
    ``voids`` is True where the person's profile goes: nothing sent before it stands any more.
    ``withdraws`` is True where somebody takes back what they had agreed to: that is still done for
    whoever has been erased since.
    ``perform`` sends one payload through the single-record endpoint. Both forms are safe to run
    again from the start: every id derives from the payload.
    """

    name: str
    title: str
    description: str
    trigger: str
    fields: tuple[Field, ...]
    prepare: Callable[[Payload, float], Payload]
    perform: Callable[[Payload, Account], Outcome]
    batch: Batch | None = None
    order: Callable[[Mapping[str, Any]], str] = lambda _fields: ""
    stamp: str = ""
    quiet: str = ""
    digest: Callable[[Payload], str] | None = None
    goes_before: tuple[str, ...] = ()
    voids: bool = False
    withdraws: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """One rate limit: at most ``calls`` in any ``seconds``."""

    calls: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Destination:
    """A place that events are delivered to: the table of contents of its package.

    ``verdict(response, now)`` reads an answer: what it means for what was asked.

    ``headers(key, revision)`` go with every request; ``windows(operation)`` are the rate limits of
    an operation; ``probe`` finds out whether a halted account can be used again; ``rehearse``
    answers requests as the real thing would on a good day, for previews.
    """

    name: str
    actions: Mapping[str, Action]
    headers: Callable[[str, str], Mapping[str, str]]
    windows: Callable[[str], tuple[Window, ...]]
    verdict: Callable[[Response, float], Outcome]
    probe: Callable[[Account], Outcome]
    rehearse: Callable[[Request], Response]
