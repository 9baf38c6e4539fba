"""The thread that looks for what is wrong and tells it: once, however many processes look."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import redis

from destination.event import encode
from destination.runtime.alerts.beats import Part, beat, silence
from destination.runtime.alerts.conditions import (
    Alert,
    Thresholds,
    changes,
    conditions,
    not_accepting,
)
from destination.runtime.alerts.notices import Notice, form_of, post
from destination.runtime.alerts.vitals import look
from destination.runtime.logs import log
from destination.runtime.store import PREFIX, Scripts, connect
from destination.settings import Settings

EVERY = 10.0
"""Seconds between two looks."""

GIVE_UP = 900.0
"""Seconds after which a notice that nobody takes is dropped."""

LONGEST_PAUSE = 240.0
"""Seconds between two tries at the most; the first are ``EVERY`` apart."""

SILENT = 30.0
"""Seconds for which Redis must be silent before that is an alert of its own, and workers before
servers look in their place: they may restart.
"""

FIRING = f"{PREFIX}alerts:firing"
NOTICES = f"{PREFIX}alerts:notices"
TURN = f"{PREFIX}alerts:turn"

NOTICES_KEPT = 1000
"""Notices that may wait for a receiver; more and the oldest are dropped."""

SAMPLES_KEPT = 60
"""Past looks that are kept; more than the window of failures holds."""


class Board:
    """What fires, and the notices that are to be delivered: shared by all processes in Redis."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._client: Any = scripts.client

    def my_turn(self) -> bool:
        """Whether it is on us to look now; one process at a time does."""
        return bool(self._scripts.run("turn", [int(EVERY * 950)], [TURN]))

    def firing(self) -> dict[Alert, float]:
        """The alerts that fire, and since when (unix seconds)."""
        return firing(self._client)

    def note(self, now: frozenset[Alert], sample: bytes = b"[0,{}]") -> list[Notice]:
        """Take over what fires now; the changes that nobody else has noted meanwhile."""
        fire, resolve = changes(self.firing().keys(), now)
        args: list[Any] = [PREFIX, sample, SAMPLES_KEPT, NOTICES_KEPT]
        for what, alerts in (("fire", fire), ("resolve", resolve)):
            for alert in alerts:
                args += [what, alert.key, encode(alert)]
        return [read_notice(told) for told in self._scripts.run("alert", args)]

    def first(self) -> bytes | None:
        """The notice that is to be delivered next."""
        found: bytes | None = self._client.lindex(NOTICES, 0)
        return found

    def done(self, told: bytes) -> None:
        """A notice needs no more tries."""
        self._client.lrem(NOTICES, 1, told)


def read_notice(told: bytes) -> Notice:
    """A notice as the script writes it."""
    what, since, now, alert = told.split(b"\n", 3)
    return Notice(
        "firing" if what == b"fire" else "resolved",
        msgspec.json.decode(alert, type=Alert),
        int(since) / 1000,
        int(now) / 1000,
    )


class Alerting(threading.Thread):
    """Looks every ``EVERY`` seconds, and says that its process lives, as long as ``alive()``.

    Workers look; a server does while no worker is heard of, so that somebody tells of that. It
    never holds up anything else and survives any trouble.
    """

    def __init__(
        self,
        settings: Settings,
        redis_url: str,
        part: Part = "worker",
        *,
        alive: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(name="alerting", daemon=True)
        self._settings = settings
        self._url = redis_url
        self._part = part
        self._alive = alive
        self._leads = part == "worker"
        self._stopped = threading.Event()
        self._try_again = 0.0
        self._pause = EVERY
        self._answered = time.time()
        self._silence: Notice | None = None

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def run(self) -> None:
        """Until stopped."""
        while not self._stopped.is_set():
            client = connect(self._url)
            try:
                self._serve(client)
            except redis.RedisError as error:
                log.warning("alerting_waits", error=type(error).__name__)
                self.note_silence(time.time())
            except Exception as error:  # noqa: BLE001 whatever it is, the next look comes
                log.error("alerting_failed", kind=type(error).__name__)
            finally:
                client.close()
            self._stopped.wait(EVERY)

    def _serve(self, client: redis.Redis) -> None:
        scripts = Scripts(client)
        board = Board(scripts)
        while not self._stopped.is_set():
            self.serve_once(scripts, board, time.time())
            self._stopped.wait(EVERY)

    def serve_once(self, scripts: Scripts, board: Board, now: float) -> None:
        """Give a sign of life, and look if it is on this process to do so.

        Raises ``redis.RedisError``, also where Redis answers but takes no writes.
        """
        if self._alive():
            beat(scripts, self._part)
        workers = silence(scripts.client).get("worker", math.inf)
        self._leads = self._part == "worker" or workers > SILENT
        if self._leads and board.my_turn():
            self.look(scripts, board, now)
        self._note_voice(now)

    def look(self, scripts: Scripts, board: Board, now: float) -> None:
        """Look once, note what has changed, and try to deliver what is to be told."""
        thresholds = Thresholds(
            self._settings.alert_failure_rate,
            self._settings.alert_pending_age,
            self._settings.alert_dead_letters,
        )
        snapshot, sample = look(scripts, self._settings, now)
        wrong = conditions(snapshot, thresholds, board.firing().keys())
        for notice in board.note(wrong, sample):
            _log(notice)
        self._deliver(board, now)

    def _deliver(self, board: Board, now: float) -> None:
        """Post the notices in order; the first that is not taken is tried again later."""
        if now < self._try_again:
            return
        end = time.monotonic() + EVERY / 2
        while time.monotonic() < end and (told := board.first()):
            notice = read_notice(told)
            wrong = self._post(notice, now)
            if wrong and now - notice.time < GIVE_UP:
                self._try_again = now + self._pause
                self._pause = min(2 * self._pause, LONGEST_PAUSE)
                return
            if wrong:
                log.error("alert_undelivered", alert=notice.alert.name, error=wrong)
            self._pause = EVERY
            board.done(told)

    def _post(self, notice: Notice, now: float) -> str:
        url, secret = self._settings.alert_url, self._settings.alert_secret
        if url is None:
            return ""
        address = url.get_secret_value()
        wrong = post(
            address,
            notice,
            form=self._settings.alert_form or form_of(address),
            secret=secret.get_secret_value() if secret else None,
            now=now,
        )
        if wrong:
            log.warning("alert_not_taken", alert=notice.alert.name, error=wrong)
        return wrong

    def note_silence(self, now: float) -> None:
        """Redis does not serve, so nothing can be shared: each process tells that by itself."""
        if self._silence is None and self._leads and now - self._answered >= SILENT:
            self._silence = Notice("firing", not_accepting("queue_unavailable"), now, now)
            _log(self._silence)
            self._post(self._silence, now)

    def _note_voice(self, now: float) -> None:
        self._answered = now
        if self._silence is not None:
            over = Notice("resolved", self._silence.alert, self._silence.since, now)
            self._silence = None
            _log(over)
            self._post(over, now)


def _log(notice: Notice) -> None:
    tell = log.error if notice.kind == "firing" else log.info
    tell(f"alert_{notice.kind}", alert=notice.alert.name, message=notice.alert.message)


def firing(client: redis.Redis) -> dict[Alert, float]:
    """The alerts that fire and since when (unix seconds), in a fixed order."""
    told: Any = client.hgetall(FIRING)
    found = {}
    for key in sorted(told):
        since, _, alert = told[key].partition(b"\n")
        found[msgspec.json.decode(alert, type=Alert)] = int(since) / 1000
    return found


def alert_json(alert: Alert, since: float) -> dict[str, Any]:
    """An alert that fires, for programs."""
    told = {"alert": alert.name, "connection": alert.connection, "subject": alert.subject}
    return {**told, "since": since, "message": alert.message}
