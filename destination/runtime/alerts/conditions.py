"""What an operator must hear of, decided from a look at the whole: pure, no Redis, no clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

NOT_ACCEPTING = "not_accepting"
HALTED = "connection_halted"
PENDING_AGE = "pending_age"
FAILURE_RATE = "failure_rate"
DEAD_LETTERS = "dead_letters"
OPERATION_PAUSED = "operation_paused"
WAITING_FOR = "waiting_for"
NO_SERVER = "no_server"
NO_WORKER = "no_worker"

WINDOW = 300.0
"""Seconds over which failures are set against deliveries."""

DEAD_WINDOW = 3600.0
"""Seconds over which dead letters are counted as new."""

ENOUGH = 20
"""Deliveries that must have ended within the window before their failures are a rate."""

LONG_PAUSE = 600.0
"""Seconds from which on a pause that Klaviyo asked for is more than its usual throttling."""

SILENCE = 60.0
"""Seconds without a sign of life after which a part of the installation counts as gone."""

RELIEF = 0.8
"""Share of its bound under which an alert is over, so that one at the bound does not flutter."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on it is an alert: share of deliveries that die, seconds that the oldest pending
    delivery may wait, new dead letters an hour.
    """

    failure_rate: float = 0.1
    pending_age: float = 900.0
    dead_letters: int = 100


@dataclass(frozen=True, slots=True)
class Vitals:
    """How one connection is.

    ``oldest`` is the age of the oldest pending delivery in seconds, 0 without one; ``halted`` the
    code for which it is paused; ``delivered`` and ``died`` count the last ``WINDOW`` seconds,
    ``new_dead`` the last ``DEAD_WINDOW``, ``dead`` all; ``pauses`` are the seconds for which
    operations at Klaviyo must rest; ``missing`` is what rows wait for that a person must put right,
    such as ``list:AbC123``.
    """

    connection: str
    pending: int = 0
    oldest: float = 0.0
    halted: str = ""
    delivered: int = 0
    died: int = 0
    new_dead: int = 0
    dead: int = 0
    pauses: Mapping[str, float] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at everything. ``trouble`` is the code for which nothing is accepted; ``silence``
    are the seconds since something was heard of the ``server`` and the ``worker`` that there were.
    """

    trouble: str = ""
    connections: tuple[Vitals, ...] = ()
    silence: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that is wrong. Two are the same when name, connection and subject are.

    ``value`` is what was seen, ``bound`` what is allowed, ``message`` says it to a person. Nothing
    in it is personal: names from the settings, operations, codes and numbers only.
    """

    name: str
    connection: str = ""
    subject: str = ""
    value: float = field(default=0, compare=False)
    bound: float = field(default=0, compare=False)
    message: str = field(default="", compare=False)

    @property
    def key(self) -> str:
        """Its name among those that fire."""
        return f"{self.name}|{self.connection}|{self.subject}"


def conditions(
    snapshot: Snapshot, thresholds: Thresholds, firing: AbstractSet[Alert] = frozenset()
) -> frozenset[Alert]:
    """Everything that is wrong. What fires already must get clearly better to be over."""
    found = [not_accepting(snapshot.trouble)] if snapshot.trouble else []
    found += _gone(snapshot)
    for vitals in snapshot.connections:
        found += _conditions(vitals, thresholds, firing)
    return frozenset(found)


def changes(firing: AbstractSet[Alert], now: AbstractSet[Alert]) -> tuple[list[Alert], list[Alert]]:
    """What begins to fire and what is over, each in a fixed order."""
    order = sorted(firing | now, key=lambda alert: alert.key)
    return (
        [alert for alert in order if alert in now and alert not in firing],
        [alert for alert in order if alert in firing and alert not in now],
    )


def not_accepting(trouble: str) -> Alert:
    """The alert that events are refused for this reason."""
    return Alert(NOT_ACCEPTING, message=f"No events are accepted: {trouble}. Sources hear 503.")


def _gone(snapshot: Snapshot) -> Iterator[Alert]:
    pending = sum(vitals.pending for vitals in snapshot.connections)
    for name, part, so in (
        (NO_SERVER, "server", "sources find nobody who takes events"),
        (NO_WORKER, "worker", f"nothing is delivered, {pending:,} deliveries wait"),
    ):
        seconds = snapshot.silence.get(part, 0.0)
        if seconds >= SILENCE:
            said = f"No {part} has been heard of for {_duration(seconds)}: {so}."
            yield Alert(name, "", "", seconds, SILENCE, said)


def _conditions(
    vitals: Vitals, thresholds: Thresholds, firing: AbstractSet[Alert]
) -> Iterator[Alert]:
    name = vitals.connection
    if vitals.halted:
        yield Alert(
            HALTED,
            name,
            message=f"The connection {name} is paused ({vitals.halted}); {vitals.pending:,}"
            " deliveries wait until a person has acted, and then go on by themselves.",
        )
    for thing in vitals.missing:
        yield Alert(
            WAITING_FOR,
            name,
            thing,
            message=f"Deliveries of {name} wait for {thing}, which Klaviyo says is not there;"
            " correct the mapping or make it anew, and they go on by themselves.",
        )
    for operation, seconds in sorted(vitals.pauses.items()):
        alert = Alert(
            OPERATION_PAUSED,
            name,
            operation,
            seconds,
            LONG_PAUSE,
            f"Klaviyo's limit for {operation} is used up in {name}; it goes on in"
            f" {_duration(seconds)}.",
        )
        if seconds > LONG_PAUSE or alert in firing:
            yield alert
    for alert in _measured(vitals, thresholds):
        if alert.value >= alert.bound * (RELIEF if alert in firing else 1):
            yield alert


def _measured(vitals: Vitals, thresholds: Thresholds) -> Iterator[Alert]:
    name, ended = vitals.connection, vitals.delivered + vitals.died
    if ended >= ENOUGH:
        rate = vitals.died / ended
        yield Alert(
            FAILURE_RATE,
            name,
            "",
            rate,
            thresholds.failure_rate,
            f"{rate:.0%} of the deliveries of {name} died within {_duration(WINDOW)}:"
            f" {vitals.died:,} of {ended:,}.",
        )
    if vitals.oldest:
        yield Alert(
            PENDING_AGE,
            name,
            "",
            vitals.oldest,
            thresholds.pending_age,
            f"The oldest pending delivery of {name} has waited for {_duration(vitals.oldest)};"
            f" {vitals.pending:,} are pending.",
        )
    if vitals.new_dead:
        yield Alert(
            DEAD_LETTERS,
            name,
            "",
            vitals.new_dead,
            thresholds.dead_letters,
            f"{vitals.new_dead:,} deliveries of {name} became dead letters within"
            f" {_duration(DEAD_WINDOW)}; there are {vitals.dead:,}.",
        )


def _duration(seconds: float) -> str:
    """So long, for a person, in one unit."""
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
