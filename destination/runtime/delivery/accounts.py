"""The few questions that the server itself asks Klaviyo: lists, and whether the key is good.

All of them wait for an answer, so they belong in a thread. They keep to the account's limits
together with the workers.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

import redis

from destination.delivery import Discard, Halt, Outcome, Retry
from destination.errors import Ended, NoRoom, Rejected, SettingsError, Unanswered
from destination.klaviyo.lists import all_lists, get_list, list_id
from destination.pipeline import outcome_of
from destination.runtime.delivery.connections import Working
from destination.runtime.store import Scripts, connect
from destination.sending import Account
from destination.settings import Settings

LONGEST_WAIT = 60
"""Seconds at the most that a caller is told to wait; longer ones are not honoured everywhere."""

Found = TypeVar("Found")


class Questions(Protocol):
    """What the server asks of a connection's Klaviyo account.

    Every question waits for its answer and may raise ``Rejected``: 404 for what Klaviyo has not,
    502 for what it refuses, 503 when it cannot answer now.
    """

    def list_named(self, connection: str, name: str) -> str:
        """The id of the list of this name, made if there is none."""
        ...

    def list_with(self, connection: str, id_: str) -> str:
        """The id of the list with this id, as Klaviyo writes it."""
        ...

    def lists(self, connection: str) -> Mapping[str, str]:
        """The names of the account's lists by id."""
        ...

    def problem(self, connection: str) -> str:
        """What keeps the account from being used, in words; empty when all is well."""
        ...

    def close(self) -> None:
        """Nothing more is asked."""
        ...


class Accounts:
    """The real Klaviyo accounts: the answers to ``Questions``."""

    def __init__(self, settings: Settings, redis_url: str) -> None:
        self._settings = settings
        self._redis = connect(redis_url)
        self._lock = threading.Lock()
        self._working: dict[str, Working] = {}

    def close(self) -> None:
        """Close the connections to Klaviyo and Redis."""
        for working in self._working.values():
            working.close()
        self._redis.close()

    def list_named(self, connection: str, name: str) -> str:
        """See ``Questions``."""
        return self._ask(connection, lambda account: list_id({"list_name": name}, account))

    def list_with(self, connection: str, id_: str) -> str:
        """See ``Questions``."""
        return self._ask(connection, lambda account: get_list(id_, account)[0])

    def lists(self, connection: str) -> Mapping[str, str]:
        """See ``Questions``."""
        return self._ask(connection, lambda account: dict(all_lists(account)))

    def problem(self, connection: str) -> str:
        """See ``Questions``."""
        try:
            working = self._of(connection)
            outcome = working.destination.probe(working.account())
        except (Ended, Unanswered, NoRoom) as error:
            outcome = outcome_of(error)
        except SettingsError as error:
            return str(error)
        except redis.RedisError as error:
            return f"Redis does not answer: {type(error).__name__}"
        if isinstance(outcome, Halt | Discard | Retry):
            return f"Klaviyo cannot be used now: {outcome.message or outcome.code}"
        return ""

    def _of(self, connection: str) -> Working:
        with self._lock:
            working = self._working.get(connection)
            if working is None:
                told = self._settings.connections[connection]
                working = Working(told, self._settings, Scripts(self._redis))
                self._working[connection] = working
            return working

    def _ask(self, connection: str, question: Callable[[Account], Found]) -> Found:
        try:
            return question(self._of(connection).account())
        except (Ended, Unanswered, NoRoom) as error:
            raise _rejected(outcome_of(error)) from error
        except SettingsError as error:
            raise Rejected(502, "no_account", str(error)) from error
        except redis.RedisError as error:
            what = f"Redis does not answer: {type(error).__name__}"
            raise Rejected(503, "queue_unavailable", what, retry_after=5) from error


def _rejected(outcome: Outcome) -> Rejected:
    match outcome:
        case Discard(code="list_not_found", message=message):
            return Rejected(404, "list_not_found", message)
        case Discard(code=code, message=message) | Halt(code=code, message=message):
            return Rejected(502, code, f"Klaviyo refuses: {message}")
        case Retry(code=code, message=message, after=after):
            wait = min(LONGEST_WAIT, max(1, math.ceil(after or 5)))
            why = f"Klaviyo cannot be asked now: {message or code}; ask again"
            return Rejected(503, code, why, retry_after=wait)
    return Rejected(503, "internal_error", f"an unexpected outcome: {outcome!r}"[:200])
