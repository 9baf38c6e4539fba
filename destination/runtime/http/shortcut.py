"""The shortcut for whole requests to hot routes: from the parser to the route and back to the wire.

An event of 1 KB comes in one piece with the head of its request. Such a request needs none of what
ASGI is for, bodies and answers in pieces, and none of Starlette's layers; together they cost more
than reading the event does. Whatever is not whole, not POST or not hot goes the usual way.
"""

from __future__ import annotations

import math
from collections.abc import Coroutine, Mapping
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from destination.errors import Rejected
from destination.runtime.http.answers import Answer, refusal
from destination.runtime.http.endpoint import Endpoint
from destination.runtime.http.repeating import Repeatable, repeatable
from destination.runtime.http.wire import GuardedProtocol
from destination.runtime.logs import log, told

FAULT = refusal(
    Rejected(
        503,
        "internal_error",
        "a fault of the server, which its log describes; post again",
        retry_after=5,
    )
)
"""The answer to a request that failed by our own fault."""


class ShortcutProtocol(GuardedProtocol):
    """One connection; ``hot`` are the endpoints by path that take whole requests directly."""

    def __init__(self, *args: Any, hot: Mapping[str, Endpoint], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._hot = hot
        self._held: tuple[RequestResponseCycle, Any] | None = None
        self._feeding = False
        self._repeatable: Repeatable | None = None
        nobody: Any = _nobody
        self._proxied = ProxyHeadersMiddleware(nobody, self.config.forwarded_allow_ips)

    def data_received(self, data: bytes) -> None:
        """Start the request that comes once more, or feed the parser, then start what has come."""
        again = self._repeatable
        if again is not None and self._is_idle():
            body = again.body_in(data)
            if body is not None:
                self._unset_keepalive_if_required()
                self.cycle = again.begin()
                self._run(self._answer(self.cycle, again.endpoint, body, first=False))
                return
        begins = not self._begun
        self._feeding = True
        try:
            super().data_received(data)
        finally:
            self._feeding = False
        if self._held:
            (cycle, app), self._held = self._held, None
            endpoint = self._start(cycle, app)
            if endpoint and begins:
                self._repeatable = repeatable(data, cycle, endpoint)

    def _is_idle(self) -> bool:
        """Whether the next byte begins a request, with no other under way, that may be served."""
        if self._begun or self._timer or self._broken:
            return False
        if not self.cycle.response_complete or self.transport.is_closing():
            return False
        most = self.limit_concurrency or math.inf
        return len(self.connections) < most and len(self.tasks) < most

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Start a request, or, while the parser is at work, note that it is to be started."""
        if self._feeding:
            self._held = (cycle, app)
        else:
            self._start(cycle, app)

    def _start(self, cycle: RequestResponseCycle, app: Any) -> Endpoint | None:
        """Start a request; the endpoint that takes it directly, None when it goes the usual way."""
        scope = cycle.scope
        endpoint = self._hot.get(scope["path"])
        # Who asked to be told to go on is told so on the usual way.
        whole = not cycle.more_body and not cycle.waiting_for_100_continue
        # Anything but our own application is uvicorn's way to say that it is busy.
        hot = endpoint and scope["method"] == "POST" and whole and app is self.app
        if endpoint is None or not hot or self.transport.is_closing():
            super()._start_asgi_task(cycle, app)
            return None
        self._run(self._answer(cycle, endpoint, bytes(cycle.body), first=True))
        return endpoint

    def _run(self, answering: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(answering)
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    async def _answer(
        self, cycle: RequestResponseCycle, endpoint: Endpoint, body: bytes, *, first: bool
    ) -> None:
        """Answer a request; the ``first`` one with its scope has the scope say who called."""
        scope: Any = cycle.scope
        try:
            if first and any(name[:12] == b"x-forwarded-" for name, _value in scope["headers"]):
                await self._proxied(scope, _never, _never)
            answer = await endpoint.answer_whole(scope, body)
        except Exception as error:  # noqa: BLE001 whatever it is, the caller hears that it was us
            log.error("request_failed", path=scope["path"], **told(error))
            answer = FAULT
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()  # who posts and does not read must not fill our memory
        self._write(cycle, answer)

    def _write(self, cycle: RequestResponseCycle, answer: Answer) -> None:
        """Put the answer on the wire, as uvicorn would."""
        cycle.response_started = cycle.response_complete = True
        if not cycle.disconnected:
            self._say(answer, keep_alive=cycle.keep_alive)
            if not cycle.keep_alive:
                self.transport.close()
        cycle.on_response()


async def _nobody(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """The application behind the reading of a proxy's headers: it has been done in the scope."""


async def _never(*_given: Any) -> Any:
    raise AssertionError("nothing is received or sent here")
