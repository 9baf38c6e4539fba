"""A route that takes something in, as a plain ASGI application.

Starlette's request and response objects would cost more than everything else that is done here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from starlette.types import Receive, Scope, Send

from destination.errors import Rejected
from destination.runtime.http.answers import Answer, headers_of, refusal

Headers = tuple[tuple[bytes, bytes], ...]


class Endpoint(ABC):
    """One route. HEAD and OPTIONS are answered with 200: tools probe addresses that way.

    ``methods`` are those that ``take`` is asked for; ``headers`` go with every answer.
    """

    methods: tuple[str, ...] = ("POST",)
    headers: Headers = ()

    @abstractmethod
    async def take(self, scope: Scope, receive: Receive) -> Answer:
        """Answer a request. Raises ``Rejected``."""

    def options(self, _headers: Mapping[str, str]) -> Mapping[str, str]:
        """Headers that answer an OPTIONS request with these headers (lower-case names)."""
        return {}

    async def take_whole(self, scope: Scope, body: bytes) -> Answer:
        """As ``take``, for a request whose body is there. Routes that are hot have it."""
        raise NotImplementedError(type(self).__name__)

    async def answer_whole(self, scope: Scope, body: bytes) -> Answer:
        """Answer a request for a method of ``methods`` whose body is there."""
        try:
            answer = await self.take_whole(scope, body)
        except Rejected as error:
            answer = refusal(error)
        if not self.headers:
            return answer
        return Answer(answer.status, answer.body, answer.headers + self.headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, whatever its method."""
        answer = await self._answer(scope, receive)
        if self.headers:
            answer = Answer(answer.status, answer.body, answer.headers + self.headers)
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        method = scope["method"]
        if method in self.methods:
            try:
                return await self.take(scope, receive)
            except Rejected as error:
                return refusal(error)
        allow = (b"allow", ", ".join((*self.methods, "HEAD", "OPTIONS")).encode())
        if method == "HEAD":
            return Answer(200, b"")
        if method == "OPTIONS":
            said = self.options(headers_of(scope))
            named = tuple((name.encode(), value.encode("latin-1")) for name, value in said.items())
            return Answer(200, b"{}", (allow, *named))
        use = " or ".join(self.methods)
        wrong = refusal(
            Rejected(405, "method_not_allowed", f"{method} is not taken here; use {use}")
        )
        return Answer(wrong.status, wrong.body, (*wrong.headers, allow))
