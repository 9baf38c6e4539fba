"""Sending many rows in one request, when one bad row makes Klaviyo refuse them all.

Klaviyo takes a bulk request whole or not at all. Rows that its error pointers name are tried apart
before they are given up; without pointers a binary search finds them. One bad row among n costs at
most ``ceil(log2 n) + 2`` further requests and never costs a neighbour its delivery.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil, log2
from typing import Generic, TypeVar

from destination.delivery import Discard, Outcome, Retry
from destination.errors import Ended, NoRoom, Unanswered
from destination.event import encode
from destination.klaviyo.limits import Bulk
from destination.klaviyo.verdict import (
    UNPROCESSABLE,
    discard,
    errors_of,
    message_of,
    no_room,
    row_of,
    succeeded,
    unanswered,
    verdict,
)
from destination.sending import Account, Request, Response

T = TypeVar("T")
Part = list[int]

BAD_ROWS_PER_CALL = 4
"""How many bad rows one call searches for before it leaves the rest to the next attempt."""

_SHARED = ("/relationships/", "/attributes/historical_import", "/attributes/custom_source")


def same_for_all(response: Response, rows: Sequence[object], now: float) -> list[Outcome]:
    """The verdict on a response for each of the rows that it was the answer to."""
    return [verdict(response, now)] * len(rows)


def send_rows(
    rows: Sequence[T],
    build: Callable[[Sequence[T]], Request],
    account: Account,
    limit: Bulk,
    accept: Callable[[Response, Sequence[T]], list[Outcome]] | None = None,
) -> list[Outcome]:
    """Send ``rows`` in as few requests as ``limit`` allows; one outcome per row, in order.

    ``build`` makes the request for some of the rows. ``accept`` reads a success for the rows it
    holds; without it the verdict counts for each. When no answer comes or there is no room, rows
    that have their outcome keep it and the others wait; with none settled the error goes on:
    raises ``Unanswered`` and ``NoRoom``.
    """
    sender = _Sender(rows, build, account, limit, accept)
    return sender.run()


class _Sender(Generic[T]):
    def __init__(
        self,
        rows: Sequence[T],
        build: Callable[[Sequence[T]], Request],
        account: Account,
        limit: Bulk,
        accept: Callable[[Response, Sequence[T]], list[Outcome]] | None,
    ) -> None:
        self.rows = rows
        self.build = build
        self.account = account
        self.limit = limit
        self.accept = accept
        self.outcomes: dict[int, Outcome] = {}
        self.rest: Outcome | None = None  # what all rows without outcome get; ends the sending
        levels = ceil(log2(len(rows))) if len(rows) > 1 else 0
        self.searches = BAD_ROWS_PER_CALL * (levels + 2)

    def run(self) -> list[Outcome]:
        try:
            for start in range(0, len(self.rows), self.limit.rows):
                self.settle(list(range(start, min(start + self.limit.rows, len(self.rows)))))
        except (Unanswered, NoRoom) as error:
            if not self.outcomes:
                raise
            self.rest = no_room(error) if isinstance(error, NoRoom) else unanswered(error)
        return [self.outcome(index) for index in range(len(self.rows))]

    def outcome(self, index: int) -> Outcome:
        found = self.outcomes.get(index, self.rest)
        assert found is not None, "every row is settled unless the sending stopped"
        return found

    def settle(self, part: Part, *, trust: bool = True) -> None:
        """Give every row of ``part`` its outcome, or stop. ``trust`` is whether pointers were right."""
        if not part or self.rest is not None:
            return
        request = self.build([self.rows[index] for index in part])
        text = encode(request.body)
        if len(part) > 1 and len(text) > self.limit.bytes:
            self.split(part, ceil(len(text) / self.limit.bytes))
            return
        if request.body is not None:  # a look-up has no body
            request = replace(request, text=text)
        response = self.send(request, part)
        if response is None:
            return
        if response.status == 413 and len(part) > 1:
            self.split(part, 2)
        else:
            self.refused(part, response, trust=trust)

    def split(self, part: Part, requests: int) -> None:
        rows = ceil(len(part) / min(requests, len(part)))
        for start in range(0, len(part), rows):
            self.settle(part[start : start + rows])

    def send(self, request: Request, part: Part) -> Response | None:
        """The answer when it refuses the rows as such; None when ``part`` is settled or all stop."""
        response = self.account.send(request)
        if response.status in UNPROCESSABLE:
            return response
        if succeeded(response):
            self.outcomes.update(zip(part, self.accepted(response, part), strict=True))
        else:
            self.rest = verdict(response, self.account.now)
        return None

    def accepted(self, response: Response, part: Part) -> list[Outcome]:
        if self.accept is None:
            return same_for_all(response, part, self.account.now)
        try:
            return self.accept(response, [self.rows[index] for index in part])
        except Ended as ended:
            return [ended.outcome] * len(part)

    def refused(self, part: Part, response: Response, *, trust: bool) -> None:
        if len(part) == 1 or _concerns_all(response):
            self.discard(part, response)
            return
        named = _named(part, response) if trust else []
        if len(named) == len(part):
            self.discard(part, response)
        elif named:
            self.apart(named, part, response)
        else:
            self.search(part, response)

    def discard(self, part: Part, response: Response) -> None:
        self.outcomes.update(zip(part, _discards(part, response, self.account.now), strict=True))

    def apart(self, named: Part, part: Part, response: Response) -> None:
        """Try the named rows by themselves: wrong pointers must not cost good rows their delivery."""
        self.settle(named)
        tried = set(named)
        rest = [index for index in part if index not in tried]
        guilty = [isinstance(self.outcomes.get(index), Discard) for index in named]
        if any(guilty) or self.rest is not None:
            self.settle(rest, trust=all(guilty))
        else:  # so the bad row is among the others, and to send them together would be in vain
            self.search(rest, response)

    def search(self, part: Part, response: Response) -> None:
        """Find one bad row in ``part``, which was refused, then send the others together."""
        untried: Part = []
        tried = False
        while len(part) > 1:
            if self.searches == 0:
                self.rest = Retry("batch_refused", message_of(response))
                return
            self.searches -= 1
            half, other = part[: len(part) // 2], part[len(part) // 2 :]
            answer = self.send(self.build([self.rows[index] for index in half]), half)
            if self.rest is not None:
                return
            if answer is None:
                part, tried = other, False
            else:
                part, tried, response = half, True, answer
                untried += other
        if tried:
            self.discard(part, response)
        else:
            self.settle(part)
        self.settle(sorted(untried))


def _concerns_all(response: Response) -> bool:
    return any(shared in error.pointer for error in errors_of(response) for shared in _SHARED)


def _named(part: Part, response: Response) -> Part:
    places = {row_of(error.pointer) for error in errors_of(response)}
    return [index for place, index in enumerate(part) if place in places]


def _discards(part: Part, response: Response, now: float) -> list[Outcome]:
    """What a refusal means for each row: the errors that point at it, or all of them."""
    code = verdict(response, now)
    assert isinstance(code, Discard), "only refusals come here"
    return [
        discard(response, code.code, place if len(part) > 1 else None) for place in range(len(part))
    ]
