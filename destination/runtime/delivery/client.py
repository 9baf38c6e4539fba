"""``Send`` over HTTP."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpcore
import httpx

from destination.errors import Unanswered
from destination.event import encode
from destination.sending import Request, Response, Send

ANSWER_LIMIT = 8 * 1024 * 1024
"""Bytes of an answer that are read; a page of 100 profiles of 80 KB each still fits."""


class Client:
    """Sends requests to one Klaviyo account.

    ``headers`` go with every request, JSON:API's content type where they name none. ``deadline``
    seconds bound the whole exchange, not each read. Redirects are not followed and
    proxies or certificates from the environment are not used: the key goes to ``base`` only.
    """

    def __init__(self, base: str, headers: Mapping[str, str], *, deadline: float) -> None:
        parts = urlsplit(base)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise ValueError(f"not an http(s) address: {base!r}")
        self._deadline = deadline
        self._time_left = _TimeLeft()
        self._open: set[socket.socket] = set()
        named = httpx.Headers(
            {"content-type": "application/vnd.api+json", "accept-encoding": "identity"}
        )
        named.update(headers)
        self._http = httpx.Client(
            transport=_transport(self._time_left, self._open),
            base_url=base,
            headers=named,
            timeout=httpx.Timeout(deadline, connect=min(5.0, deadline)),
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def cut(self) -> None:
        """End the requests of other threads that wait for an answer: they raise ``Unanswered``."""
        for each in list(self._open):
            with contextlib.suppress(OSError):
                # Not TLS' own, which would take down what the other thread is reading with.
                socket.socket.shutdown(each, socket.SHUT_RDWR)

    def send(self, request: Request) -> Response:
        """One exchange. Raises ``Unanswered``."""
        content = request.text
        if content is None and request.body is not None:
            content = encode(request.body)
        end = self._time_left.end = time.monotonic() + self._deadline
        try:
            with self._http.stream(
                request.method, request.path, params=dict(request.query), content=content
            ) as answer:
                body = _read(answer, end)
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return Response(answer.status_code, headers, body)
        except httpx.TransportError as error:
            where = f"{request.method} {request.path.split('?')[0]}"
            raise Unanswered(f"{where}: {type(error).__name__}: {error}") from error


class _TimeLeft(threading.local):
    """When the request of this thread must have ended, in monotonic seconds."""

    end = float("inf")

    def bound(self, timeout: float | None) -> float:
        """A timeout cut to the time left. Raises ``httpcore.ReadTimeout`` when there is none."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the deadline of the whole request is over")
        return left if timeout is None else min(timeout, left)


class _Stream(httpcore.NetworkStream):
    """A connection whose every read and write ends with the request's deadline.

    httpx's timeouts are for one read each: an answer whose head trickles in would never end.
    """

    def __init__(
        self, inner: httpcore.NetworkStream, left: _TimeLeft, opened: set[socket.socket]
    ) -> None:
        self._inner = inner
        self._left = left
        self._opened = opened
        self._socket: socket.socket = inner.get_extra_info("socket")
        opened.add(self._socket)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._left.bound(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._left.bound(timeout))

    def close(self) -> None:
        self._opened.discard(self._socket)
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        bound = self._left.bound(timeout)
        self._opened.discard(self._socket)
        inner = self._inner.start_tls(ssl_context, server_hostname, bound)
        return _Stream(inner, self._left, self._opened)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    def __init__(self, left: _TimeLeft, opened: set[socket.socket]) -> None:
        self._left = left
        self._opened = opened

    def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        return _Stream(super().connect_tcp(*args, **kwargs), self._left, self._opened)


@cache
def _trust() -> ssl.SSLContext:
    """Whom all clients trust; reading the certificates takes 17 ms."""
    return httpx.create_ssl_context(trust_env=False)


def _transport(left: _TimeLeft, opened: set[socket.socket]) -> httpx.HTTPTransport:
    limits = httpx.Limits(max_connections=32, max_keepalive_connections=16)
    transport = httpx.HTTPTransport(verify=_trust(), trust_env=False, limits=limits)
    # httpx takes no network backend; a test holds that this is where its pool is.
    transport._pool = httpcore.ConnectionPool(  # noqa: SLF001 see above
        ssl_context=_trust(),
        max_connections=limits.max_connections,
        max_keepalive_connections=limits.max_keepalive_connections,
        keepalive_expiry=limits.keepalive_expiry,
        network_backend=_Backend(left, opened),
    )
    return transport


def _read(answer: httpx.Response, end: float) -> bytes:
    parts, size = [], 0
    for part in answer.iter_bytes():
        parts.append(part)
        size += len(part)
        if size > ANSWER_LIMIT:
            raise Unanswered(f"the answer is longer than {ANSWER_LIMIT} bytes")
        if time.monotonic() > end:
            raise Unanswered("the answer did not end within the deadline")
    return b"".join(parts)


Note = Callable[[Request, Response | None, float], None]
"""Told of each exchange: the request, its answer (None when none came) and the seconds it took."""


def noted(send: Send, note: Note) -> Send:
    """Wrap ``send`` so that ``note`` hears of each exchange."""

    def wrapped(request: Request) -> Response:
        started = time.monotonic()
        try:
            response = send(request)
        except Unanswered:
            note(request, None, time.monotonic() - started)
            raise
        note(request, response, time.monotonic() - started)
        return response

    return wrapped
