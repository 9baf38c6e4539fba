"""Leaving out what was delivered already, for the mappings that ask for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from destination.action import Payload
from destination.delivery import Delivered, Dropped, Outcome
from destination.pipeline import Route, unchanged
from destination.runtime.delivery.remembered import LastSent

UNCHANGED = Dropped("unchanged", "the person's last delivery by this mapping said the same")

Planned = tuple[int, str, Route, Payload]
"""A planned row: its number in the pass, its person, its route and what is to be sent."""


class Skipping:
    """One pass over a lane. Whatever dies where, nothing is left out that Klaviyo does not hold: a
    delivery counts as the last one only from its commit on, and nothing counts while one is under
    way. What another account holds, or held before the person's profile was deleted, does not count.
    """

    def __init__(self, last: LastSent, routes: Iterable[Route], account: str) -> None:
        self._last = last
        self._account = account
        self._asking = sorted({route.mapping.name for route in routes if _asks(route)})
        self._sent: dict[str, dict[str, tuple[int, str]]] = {}
        self._gone: dict[int, str] = {}

    @property
    def asked(self) -> bool:
        """Whether any mapping asks for it."""
        return bool(self._asking)

    def left_out(self, planned: Sequence[Planned]) -> dict[int, Outcome]:
        """The rows that need no sending, by number, in the order in which they were accepted.

        From here on the others count as under way.
        """
        ends: dict[int, Outcome] = {}
        self._gone = {number: person for number, person, route, _ in planned if route.action.voids}
        self._forget(self._gone.values())
        for name, rows in _by_mapping(planned).items():
            digests = [(person, self._digest(route, payload)) for _, person, route, payload in rows]
            known = self._last.known(name, (person for person, _digest in digests))
            same = unchanged(digests, known)
            sent = self._sent.setdefault(name, {})
            for (number, *_), (person, digest), skip in zip(rows, digests, same, strict=True):
                if skip:
                    ends[number] = UNCHANGED
                else:
                    sent[person] = (number, digest)
            self._last.sending(name, {person: digest for person, (_, digest) in sent.items()})
        return ends

    def committed(self, outcomes: Sequence[Outcome]) -> None:
        """The outcomes of the pass, by row number, are on record."""
        for name, sent in self._sent.items():
            arrived = {
                person: digest
                for person, (number, digest) in sent.items()
                if isinstance(outcomes[number], Delivered)
            }
            self._last.delivered(name, arrived)
        ended = (Delivered, Dropped)
        self._forget(who for row, who in self._gone.items() if isinstance(outcomes[row], ended))

    def _forget(self, people: Iterable[str]) -> None:
        """Both before and after a deletion: either instant may be the last one that is lived to."""
        listed = list(people)
        for mapping in self._asking:
            self._last.forget(mapping, listed)

    def _digest(self, route: Route, payload: Payload) -> str:
        found = route.action.digest(payload) if route.action.digest else ""
        return found and f"{self._account}{found}"


def job_committed(
    last: LastSent,
    rows: Sequence[tuple[str, str]],
    ends: Sequence[Outcome],
    routes: Mapping[str, Route],
) -> None:
    """The ends of a job's rows, each with its person and the name of its route, are on record."""
    people: dict[str, dict[str, Outcome]] = {}
    for (person, name), end in zip(rows, ends, strict=True):
        route = routes.get(name)
        if route and _asks(route):
            people.setdefault(route.mapping.name, {})[person] = end
    for mapping, by_person in people.items():
        arrived = [person for person, end in by_person.items() if isinstance(end, Delivered)]
        last.confirm(mapping, arrived)


def _asks(route: Route) -> bool:
    return route.mapping.batch.skip_unchanged and route.action.digest is not None


def _by_mapping(planned: Sequence[Planned]) -> dict[str, list[Planned]]:
    found: dict[str, list[Planned]] = {}
    for row in planned:
        if _asks(row[2]):
            found.setdefault(row[2].mapping.name, []).append(row)
    return found
