"""``Send`` over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx

from destination.errors import Unanswered
from destination.event import encode
from destination.sending import Request, Response, Send

ANSWER_LIMIT = 8 * 1024 * 1024
"""Bytes of an answer that are read; a page of 100 profiles of 80 KB each still fits."""


class Client:
    """Sends requests to one Klaviyo account.

    ``deadline`` seconds bound the whole exchange, not each read. Redirects are not followed and
    proxies or certificates from the environment are not used: the key goes to ``base`` only.
    """

    def __init__(self, base: str, headers: Mapping[str, str], *, deadline: float) -> None:
        parts = urlsplit(base)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise ValueError(f"not an http(s) address: {base!r}")
        self._deadline = deadline
        self._http = httpx.Client(
            base_url=base,
            headers={
                **headers,
                "Content-Type": "application/vnd.api+json",
                "Accept-Encoding": "identity",
            },
            timeout=httpx.Timeout(deadline, connect=min(5.0, deadline)),
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=16),
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

    def send(self, request: Request) -> Response:
        """One exchange. Raises ``Unanswered``."""
        content = None if request.json is None else encode(request.json)
        end = time.monotonic() + self._deadline
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
