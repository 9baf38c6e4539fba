"""The sandbox behind ASGI: ``/api/...`` is Klaviyo's, ``/sandbox`` is the bench's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from destination.sandbox.clock import Clock
from destination.sandbox.keys import DEFAULT_ACCOUNT
from destination.sandbox.overview import page
from destination.sandbox.requests import Incoming, Reply
from destination.sandbox.sandbox import Sandbox
from destination.sandbox.switches import Switches

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


def create_app(
    *,
    clock: Clock | None = None,
    switches: Switches | None = None,
    ledger: Path | None = None,
    seed: str = "sandbox",
    key: str | None = None,
) -> Starlette:
    """An ASGI app that imitates Klaviyo, with its state in memory.

    ``clock`` tells the time (a ``ManualClock`` makes tests exact); ``switches`` decide what is not
    known about Klaviyo; ``ledger`` is a file from which the state is rebuilt; ``seed`` shapes the
    ids; ``key`` is a private key to know from the start. ``app.state.sandbox`` is the ``Sandbox``.
    """
    sandbox = Sandbox(clock=clock, switches=switches, ledger=ledger, seed=seed)
    if key is not None:
        sandbox.bench.keys.set(key)
    app = Starlette(
        routes=[
            Route("/sandbox", _overview),
            Route("/sandbox/{path:path}", _control, methods=["GET", "POST", "DELETE"]),
            Route("/{path:path}", Api(sandbox)),
        ]
    )
    app.router.redirect_slashes = False
    app.state.sandbox = sandbox
    return app


class Api:
    """Klaviyo's side, down to connections that break."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            # Whoever hangs up in mid-body has asked nothing.
            return
        # No await from here to the reply: what is applied is applied as one.
        reply = self._sandbox.handle(
            Incoming(
                method=scope["method"],
                path=scope["path"],
                query=dict(
                    parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
                ),
                headers=dict(request.headers.items()),
                body=body,
            )
        )
        await _deliver(reply, receive, send)


async def _deliver(reply: Reply, receive: Receive, send: Send) -> None:
    if reply.delay:
        await asyncio.sleep(reply.delay)
    if reply.cut is not None and reply.cut < 0:
        await _hang_up(receive)
        return
    headers = {"content-length": str(len(reply.body)), **reply.headers}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": raw})
    shown = reply.body if reply.cut is None else reply.body[: reply.cut]
    if reply.trickle:
        for place in range(len(shown)):
            part = {
                "type": "http.response.body",
                "body": shown[place : place + 1],
                "more_body": True,
            }
            await send(part)
            await asyncio.sleep(reply.trickle)
        shown = b""
    whole = reply.cut is None
    await send({"type": "http.response.body", "body": shown, "more_body": not whole})
    if not whole:
        await asyncio.sleep(0.01)
        await _hang_up(receive)


async def _hang_up(receive: Receive) -> None:
    """Cut the connection, as a crash would; in-process, where there is none, raise instead."""
    # The server's own cycle is behind the bound method; ASGI has no message for this.
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionResetError("the sandbox cut the connection, as it was told to")
    transport.abort()
    await receive()


async def _control(request: Request) -> Response:
    sandbox: Sandbox = request.app.state.sandbox
    path = request.path_params["path"].strip("/")
    account = request.query_params.get("account", DEFAULT_ACCOUNT)
    if request.method == "GET" and not path:
        return await _overview(request)
    if request.method == "GET":
        return _read(sandbox, path, account, request.query_params.get("since", "0"))
    if request.method == "DELETE":
        path += "/clear"
    try:
        body = await request.body()
        answer = sandbox.command(path, msgspec.json.decode(body) if body else {})
    except ValueError as error:
        return _json({"error": str(error)}, 400)
    return _json(answer)


def _read(sandbox: Sandbox, path: str, account: str, since: str) -> Response:
    bench = sandbox.bench
    if path == "requests":
        if not since.isdigit():
            return _json({"error": f"since is a number, not {since[:40]!r}"}, 400)
        return _json({"requests": sandbox.requests(int(since))})
    views: dict[str, Callable[[], Any]] = {
        "state": lambda: sandbox.state(account),
        "counts": lambda: sandbox.counts(account),
        "faults": lambda: {"faults": bench.faults.state()},
        "switches": bench.switches.state,
        "keys": lambda: {"keys": bench.keys.state()},
        "accounts": lambda: {"accounts": sorted(bench.accounts)},
    }
    if path not in views:
        return _json(
            {"error": f"no view {path[:60]!r}; there are: requests, {', '.join(views)}"}, 404
        )
    return _json(views[path]())


async def _overview(request: Request) -> Response:
    sandbox: Sandbox = request.app.state.sandbox
    account = request.query_params.get("account", DEFAULT_ACCOUNT)
    return HTMLResponse(page(sandbox.state(account), sandbox.requests()[-50:]))


def _json(document: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(document), status, media_type="application/json")
