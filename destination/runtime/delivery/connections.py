"""A connection at work: its account, its limits, its mappings."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from destination.action import Destination
from destination.delivery import Retry
from destination.errors import NoRoom, SettingsError
from destination.pipeline import AccountFor
from destination.registry import DESTINATIONS
from destination.runtime.delivery.client import Client, noted
from destination.runtime.delivery.limiter import Limiter, limited
from destination.runtime.delivery.remembered import Decisions, LastSent
from destination.runtime.erased import Erased
from destination.runtime.logs import log
from destination.runtime.presets import Mappings
from destination.runtime.store import PREFIX, Scripts, account_of
from destination.runtime.versions import Versions
from destination.sending import Account, Request, Response, Send
from destination.settings import Connection, Settings

REMEMBERED = 300
"""Seconds for which ``once`` remembers what was found."""

SANDBOX_KEY = "pk_sandbox"
"""The key of connections without one; only the sandbox takes it."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request that was made for some rows, as logs and the recent deliveries show it."""

    method: str
    path: str
    status: int
    seconds: float


class Working:
    """What a worker process keeps for one connection between jobs."""

    def __init__(self, connection: Connection, settings: Settings, scripts: Scripts) -> None:
        base, key = address_of(connection, settings)
        self.name = connection.name
        self.revision = connection.klaviyo_revision
        self.destination: Destination = DESTINATIONS["klaviyo"]
        self.mappings = Mappings(
            connection.mappings, self.destination.actions, complain=self._complain
        )
        deadline = settings.request_timeout
        headers = self.destination.headers(key, self.revision)
        self._client = Client(base, headers, deadline=deadline)
        self.account_name = account_of(base + key)
        self._decisions = Decisions(scripts.client, connection.name)
        self.erased = Erased(scripts.client, connection.name)
        self.last_sent = LastSent(scripts.client, connection.name)
        self._scripts = scripts
        self.versions = Versions(scripts.client, connection.name, self.destination.actions)
        self.limiter = limiter = Limiter(
            scripts, self.account_name, self.destination.windows, deadline=deadline
        )
        self.sender = limited(self._client.send, limiter, self._pause)

    def _complain(self, problem: str) -> None:
        log.error("mappings_refused", connection=self.name, problem=problem)

    def _pause(self, response: Response) -> float:
        if response.status != 429:
            return 0.0
        outcome = self.destination.verdict(response, time.time())
        return (outcome.after or 0.0) if isinstance(outcome, Retry) else 0.0

    def account_for(
        self, exchanges: dict[int, list[Exchange]], ours: Callable[[], bool], until: float
    ) -> AccountFor:
        """Accounts that note in ``exchanges`` who asked what; those that ask together share a list.

        None is given after ``until`` (monotonic seconds), so that what has been started can be
        finished; none asks anything once ``ours()`` is false.
        """
        now = time.time()

        def account(numbers: Sequence[int]) -> Account:
            if time.monotonic() > until:
                raise NoRoom(0, "the pass")

            seen: list[Exchange] = []

            def note(request: Request, response: Response | None, seconds: float) -> None:
                status = response.status if response else 0
                if not seen:
                    exchanges.update(dict.fromkeys(numbers, seen))
                seen.append(Exchange(request.method, request.path, status, seconds))

            return self._account_through(_while(ours, noted(self.sender, note)), now)

        return account

    def account(self) -> Account:
        """The account without notes, for probes and polls."""
        return self._account_through(self.sender, time.time())

    def _account_through(self, send: Send, now: float) -> Account:
        told = self._decisions
        return Account(send, self._once, now, self.revision, told.recall, told.remember)

    def _once(self, key: str, find: Callable[[], str]) -> str:
        """See ``sending.Once``. Raises ``NoRoom`` while another worker is finding it out."""
        redis = self._scripts.client
        place = f"{PREFIX}{self.account_name}:known:{key}"
        known = redis.get(place)
        if known is not None:
            return bytes(known).decode()  # type: ignore[arg-type]  # sync client
        token = secrets.token_hex(8)
        lock = redis.lock(f"{place}:finding", timeout=120, blocking=False)
        if not lock.acquire(token=token):
            raise NoRoom(0.5, f"finding out {key.partition(':')[0]}")
        try:
            known = redis.get(place)
            if known is not None:
                return bytes(known).decode()  # type: ignore[arg-type]  # sync client
            found = find()
            redis.set(place, found, ex=REMEMBERED)
            return found
        finally:
            if lock.owned():
                lock.release()

    def cut(self) -> None:
        """End the requests that are under way, without an answer."""
        self._client.cut()

    def close(self) -> None:
        """Close the connections to Klaviyo."""
        self._client.close()


def address_of(connection: Connection, settings: Settings) -> tuple[str, str]:
    """Base address and key of a connection. Raises ``SettingsError`` when it has neither key nor
    sandbox: nothing is sent to Klaviyo's address without a key.
    """
    if connection.klaviyo_api_key is not None:
        return connection.klaviyo_api_url, connection.klaviyo_api_key.get_secret_value()
    if settings.sandbox_url is None:
        raise SettingsError(
            f"the connection {connection.name!r} has no key. Set KLAVIYO_API_KEY, or start"
            " `destination sandbox` and set DESTINATION_SANDBOX_URL to its address."
        )
    return settings.sandbox_url, SANDBOX_KEY


def _while(ours: Callable[[], bool], send: Send) -> Send:
    def wrapped(request: Request) -> Response:
        if not ours():
            raise NoRoom(0, request.operation)
        return send(request)

    return wrapped
