"""The routes for operating it: health, metrics, counts, deliveries, dead letters."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
import redis.exceptions
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from destination import __version__
from destination.errors import Rejected
from destination.event import decode
from destination.runtime.alerts.alerting import alert_json, firing
from destination.runtime.alerts.beats import silence
from destination.runtime.conflicts import conflicts
from destination.runtime.counts import imbalance, read_counts, read_halts
from destination.runtime.erasure.erase import LaneBusy, erase, vars_of
from destination.runtime.http.answers import read_body, refusal
from destination.runtime.letters.dead_letters import DeadLetters, shown
from destination.runtime.recent_deliveries import recent_deliveries
from destination.runtime.routes.handling import discarded, listed, replayed
from destination.runtime.routes.metrics import exposition
from destination.runtime.store import Scripts, connect
from destination.runtime.subject import subject
from destination.runtime.watch import Watch
from destination.settings import Settings, is_loopback

Handler = Callable[[Request], Awaitable[Response]]

BODY = 4 * 1024 * 1024
"""Bytes of a request's body at the most."""

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


def admitted(request: Request, settings: Settings) -> bool:
    """Whether a request may use the admin routes.

    With a token: who presents it. Without: only from this machine, and not through a proxy on it,
    behind which the whole world would look like this machine.
    """
    if settings.admin_token is not None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        expected = settings.admin_token.get_secret_value()
        return hmac.compare_digest(given.encode(), expected.encode())
    host = request.client.host if request.client else ""
    if not is_loopback(host) or any(name in request.headers for name in _FORWARDED):
        return False
    # A page in a browser on this machine must not get in under a name that it points here.
    origin = request.headers.get("origin")
    named = [request.headers.get("host", "")] + ([urlsplit(origin).netloc] if origin else [])
    return all(is_loopback(urlsplit(f"//{each}").hostname or "") for each in named)


class Admin:
    """The admin routes. What they read is read in a thread: the event loop takes events in."""

    def __init__(self, settings: Settings, redis_url: str, watch: Watch) -> None:
        self._settings = settings
        self._client = connect(redis_url)
        self._scripts: Scripts | None = None
        self._watch = watch

    def close(self) -> None:
        """Close the connection to Redis."""
        self._client.close()

    def routes(self) -> list[Route]:
        """All of them; each but health and readiness is closed to strangers."""
        return [
            Route("/health", self._health),
            Route("/ready", self._ready),
            Route("/metrics", self._closed(self._metrics)),
            Route("/admin/alerts", self._closed(self._alerts)),
            Route("/admin/conflicts", self._closed(self._conflicts)),
            Route("/admin/counts", self._closed(self._counts)),
            Route("/admin/deliveries", self._closed(self._deliveries)),
            Route("/admin/dead", self._closed(self._dead)),
            Route("/admin/dead/{id:path}", self._closed(self._letter)),
            Route("/admin/replay", self._closed(self._replay), methods=["POST"]),
            Route("/admin/erase", self._closed(self._erase), methods=["POST"]),
            Route("/admin/discard", self._closed(self._discard), methods=["POST"]),
        ]

    def _closed(self, handler: Handler) -> Handler:
        async def endpoint(request: Request) -> Response:
            if not admitted(request, self._settings):
                return _plain(
                    Rejected(
                        401,
                        "unauthorized",
                        "this route needs `Authorization: Bearer` with DESTINATION_ADMIN_TOKEN, or,"
                        " where none is set, a request from the machine itself",
                    )
                )
            try:
                return await handler(request)
            except Rejected as error:
                return _plain(error)
            except redis.exceptions.RedisError as error:
                what = f"Redis does not answer: {type(error).__name__}"
                return _plain(Rejected(503, "queue_unavailable", what, retry_after=5))

        return endpoint

    def _store(self) -> Scripts:
        if self._scripts is None:
            self._scripts = Scripts(self._client)
        return self._scripts

    def _read_counts(self, *, audit: bool = False) -> dict[str, Any]:
        return read_counts(self._store(), self._settings.connections, audit=audit)

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok", "version": __version__})

    async def _ready(self, _request: Request) -> Response:
        trouble = self._watch.trouble
        if trouble:
            said = {"status": "refusing", "code": trouble.code, "message": trouble.message}
            return JSONResponse(said, 503)
        return JSONResponse({"status": "ready"})

    async def _metrics(self, _request: Request) -> Response:
        def read() -> bytes:
            return exposition(
                self._read_counts(),
                ready=self._watch.trouble is None,
                silence=silence(self._client),
                firing=firing(self._client),
            )

        text = await run_in_threadpool(read)
        return Response(text, media_type="text/plain; version=0.0.4")

    async def _alerts(self, _request: Request) -> Response:
        def read() -> dict[str, Any]:
            found = firing(self._client)
            told = [alert_json(alert, since) for alert, since in found.items()]
            return {"alerts": told, "silence": silence(self._client)}

        return JSONResponse(await run_in_threadpool(read))

    async def _conflicts(self, request: Request) -> Response:
        connection = self._connection(request)
        found = await run_in_threadpool(lambda: conflicts(self._client, connection))
        return JSONResponse({"conflicts": [msgspec.to_builtins(each) for each in found]})

    async def _counts(self, request: Request) -> Response:
        audit = "audit" in request.query_params
        counts = await run_in_threadpool(self._read_counts, audit=audit)
        halts = await run_in_threadpool(read_halts, self._client, self._settings.connections)
        return JSONResponse({**counts, "halted": halts, "imbalance": imbalance(counts)})

    async def _deliveries(self, request: Request) -> Response:
        connection, most = self._connection(request), _number(request, "limit", 100)

        def read() -> list[Any]:
            return [decode(entry) for entry in recent_deliveries(self._client, connection, most)]

        return JSONResponse({"deliveries": await run_in_threadpool(read)})

    async def _dead(self, request: Request) -> Response:
        most = _number(request, "limit", 100)
        query = request.query_params

        def read() -> dict[str, Any]:
            letters = DeadLetters(self._store(), self._connection(request))
            return listed(letters, query, most)

        return JSONResponse(await run_in_threadpool(read))

    async def _letter(self, request: Request) -> Response:
        def read() -> dict[str, Any]:
            letters = DeadLetters(self._store(), self._connection(request))
            letter = letters.get(request.path_params["id"])
            if letter is None:
                raise Rejected(404, "not_found", "no dead letter has this id; see /admin/dead")
            return shown(letter, event=True)

        return JSONResponse(await run_in_threadpool(read))

    async def _replay(self, request: Request) -> Response:
        wanted, connection = await read_selection(request, "draft"), self._connection(request)
        answer = await run_in_threadpool(
            lambda: replayed(self._store(), self._settings, connection, wanted)
        )
        return JSONResponse(answer)

    async def _discard(self, request: Request) -> Response:
        wanted, connection = await read_selection(request), self._connection(request)
        answer = await run_in_threadpool(
            lambda: discarded(DeadLetters(self._store(), connection), wanted)
        )
        return JSONResponse(answer)

    async def _erase(self, request: Request) -> Response:
        wanted = await read_object(request)
        who = subject(wanted)
        named = "connection" in request.query_params
        chosen = [self._connection(request)] if named else list(self._settings.connections)
        dry = wanted.get("dry_run") is True

        def forget() -> list[dict[str, Any]]:
            try:
                receipts = erase(self._store(), self._settings, who, chosen, dry=dry)
                return [vars_of(receipt) for receipt in receipts]
            except LaneBusy as error:
                raise Rejected(503, "lane_busy", str(error), retry_after=30) from error

        return JSONResponse({"receipts": await run_in_threadpool(forget)})

    def _connection(self, request: Request) -> str:
        names = list(self._settings.connections)
        name = request.query_params.get("connection", names[0])
        if name not in names:
            known = ", ".join(names)
            raise Rejected(404, "not_found", f"there is no connection {name!r}; there are: {known}")
        return name


async def read_object(request: Request) -> dict[str, Any]:
    """The JSON object that a request holds."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        # A form on a stranger's page can post anything but this content type.
        raise Rejected(415, "json_only", "send the body as application/json")
    try:
        wanted = decode(await read_body(request.receive, dict(request.headers), BODY))
    except ValueError as error:
        raise Rejected(400, "bad_request", f"the body is not JSON: {error}") from error
    if not isinstance(wanted, dict):
        raise Rejected(400, "bad_request", "the body must be a JSON object")
    return wanted


async def read_selection(request: Request, *also: str) -> dict[str, Any]:
    """``{"ids": [...]}``, filters such as ``{"code": ..., "since": ...}``, or ``{"all": true}``.

    ``also`` names members that say which as well.
    """
    wanted = await read_object(request)
    if not _says_which(wanted, also):
        raise Rejected(
            400,
            "bad_request",
            'say which: {"ids": ["..."]}, {"code": "..."}, {"mapping": "..."} or {"all": true}',
        )
    return wanted


def _says_which(wanted: dict[str, Any], also: Sequence[str]) -> bool:
    """A selection that says nothing, such as ``{"all": false}``, must not mean everything."""
    match wanted:
        case {"ids": [*ids]}:
            return all(isinstance(each, str) for each in ids)
        case {"all": chosen}:
            return chosen is True
    words = [wanted[name] for name in ("code", "mapping", "source", "person") if name in wanted]
    times = [wanted[name] for name in ("since", "until") if wanted.get(name) is not None]
    others = [name for name in also if name in wanted]
    return bool(words or times or others) and all(isinstance(word, str) and word for word in words)


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text[:6]) <= 1000:
        raise Rejected(400, "bad_request", f"{name}={text[:20]!r} must be a number from 1 to 1000")
    return int(text)


def _plain(error: Rejected) -> Response:
    answer = refusal(error)
    headers = {name.decode(): value.decode() for name, value in answer.headers}
    return Response(answer.body, error.status, headers, media_type="application/json")
