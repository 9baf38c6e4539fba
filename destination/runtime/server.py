"""The server: takes events in and answers 200 when they are stored."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator
from functools import partial

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from destination.errors import SettingsError
from destination.runtime.alerts.alerting import Alerting
from destination.runtime.conflicts import Conflicts
from destination.runtime.delivery.accounts import Accounts, Questions
from destination.runtime.erasure.erasing import Deletions
from destination.runtime.http.endpoint import Endpoint
from destination.runtime.http.shortcut import FAULT, ShortcutProtocol
from destination.runtime.intake.accept import Intake, accept_client
from destination.runtime.intake.crowding import Crowding
from destination.runtime.intake.gate import Gate
from destination.runtime.recent_events import Recorder
from destination.runtime.routes import (
    audiences,
    browser,
    posting,
    reference,
    rows,
    rpc,
    uploads,
    webhooks,
)
from destination.runtime.routes.admin import Admin
from destination.runtime.routes.endings import Endings
from destination.runtime.watch import Watch
from destination.settings import Settings, check_write_keys

GRACE = 5
"""Seconds that requests under way get when the server is told to stop."""

CONCURRENCY = 1000
"""Connections at once; more are told 503 by the server before they cost anything."""


def create_app(settings: Settings, redis_url: str, accounts: Questions | None = None) -> Starlette:
    """The ASGI application; ``accounts`` answer for Klaviyo, by default the real ones.

    Raises ``SettingsError`` when mappings or keys cannot be used.
    """
    check_write_keys(settings)
    client = accept_client(redis_url)
    intake = Intake(client, dedupe_hours=settings.dedupe_hours)
    recorder = Recorder(client, settings.record_events)
    deletions = Deletions(client, enabled=settings.erase_on_delete)
    crowding = Crowding(client, settings.lane_limit)
    gate = Gate(settings, intake, recorder, deletions, crowding, Conflicts(client))
    watch = Watch(client, settings)
    admin = Admin(settings, redis_url, watch)
    asked = accounts or Accounts(settings, redis_url)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await watch.start()
        await intake.start()
        crowding.start()
        alerting = Alerting(settings, redis_url, "server", alive=lambda: watch.alive)
        alerting.start()
        looking = asyncio.create_task(_look_at_mappings(gate))
        _tune_garbage_collection()
        yield
        alerting.stop()
        looking.cancel()
        watch.stop()
        crowding.stop()
        await intake.stop()
        await recorder.settled()
        await client.aclose()
        admin.close()
        asked.close()
        await asyncio.to_thread(alerting.join, 2)

    app = Starlette(
        routes=[
            *posting.routes(gate, watch),
            *browser.routes(gate),
            *audiences.routes(gate, watch, asked),
            *webhooks.routes(gate, watch),
            *uploads.routes(gate, watch),
            *rows.routes(gate, watch, Endings(client)),
            *rpc.routes(gate, watch, asked),
            *admin.routes(),
            *reference.routes(),
        ],
        lifespan=lifespan,
        exception_handlers={HTTPException: _http_error, Exception: _our_fault},
    )
    app.router.redirect_slashes = False
    return app


def _hot(app: Starlette) -> dict[str, Endpoint]:
    """The routes of the tracking API by path."""
    return {
        each.path: each.endpoint
        for each in app.routes
        if isinstance(each, Route) and isinstance(each.endpoint, posting.Tracking)
    }


async def _look_at_mappings(gate: Gate) -> None:
    """Take changed files over, and complain of broken ones, when no event comes as well."""
    while True:
        await asyncio.sleep(1)
        for mappings in gate.mappings.values():
            mappings.routes()


def _tune_garbage_collection() -> None:
    # Measured: without it the collector's pauses are most of the 99th percentile.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
    message = f"{error.detail}; the routes are listed at /docs"
    body = {"success": False, "code": code, "message": message, "error": message}
    return JSONResponse(body, error.status_code, dict(error.headers or {}))


async def _our_fault(_request: Request, _error: Exception) -> Response:
    headers = {name.decode(): value.decode() for name, value in FAULT.headers}
    return Response(FAULT.body, FAULT.status, headers, "application/json")


def serve(
    settings: Settings, redis_url: str, host: str, port: int, *, reuse_port: bool = False
) -> None:
    """Serve until told to stop; with ``reuse_port`` beside other servers on the same port.

    Raises ``SettingsError`` when another server has that port for itself.
    """
    app = create_app(settings, redis_url)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=partial(ShortcutProtocol, hot=_hot(app)),  # type: ignore[arg-type]  # it is called
        ws="none",
        loop="uvloop",
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=30,
        limit_concurrency=CONCURRENCY,
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="warning",
    )
    uvicorn.Server(config).run(sockets=[_shared_socket(host, port)] if reuse_port else None)


def _shared_socket(host: str, port: int) -> socket.socket:
    """A socket that several processes may bind. It does not listen yet: connections that the kernel
    gave it before the server has started would have to wait for that.
    """
    family, kind, number, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[
        0
    ]
    found = socket.socket(family, kind, number)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        found.bind(address)
    except OSError as error:
        found.close()
        raise SettingsError(
            f"cannot listen on {host}:{port}: {error.strerror}. Whatever listens there must have"
            " been started with --reuse-port as well."
        ) from error
    return found
