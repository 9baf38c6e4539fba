"""The checks that every request to the API goes through, in one order, and what lies behind them.

The live order is not documented. Here it is: route (404, 405), authorization (401), revision (400),
scopes (403), rate limit (429), content type and encoding (415), size (413), JSON (400), query and
schema (400), then what the operation itself finds (400, 404, 409).
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from destination.sandbox.calls.call import Answer, Call
from destination.sandbox.calls.handlers import HANDLERS
from destination.sandbox.errors import Problem, Refused, invalid
from destination.sandbox.faults import throttled
from destination.sandbox.keys import Key, Keys, check_scopes
from destination.sandbox.limits import Limits, Quota
from destination.sandbox.operations import Operation, Operations, dear_quotas
from destination.sandbox.requests import Incoming
from destination.sandbox.switches import Switches
from destination.sandbox.world.account import Account

MEDIA_TYPES = {"application/vnd.api+json", "application/json"}
REVISION = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?")


@dataclass(slots=True)
class Passage:
    """How far a request came: filled in on the way, also when it is refused."""

    operation: Operation | None = None
    identifier: str = ""
    key: Key | None = None
    body: Any = None
    body_bytes: bytes = b""
    counted: bool = False
    limit_headers: Mapping[str, str] | None = None


class Gateway:
    """Takes requests to operations."""

    def __init__(self, operations: Operations, keys: Keys, switches: Switches) -> None:
        self._operations = operations
        self._keys = keys
        self._switches = switches
        self.limits = Limits()

    def enter(self, request: Incoming, now: float, passage: Passage) -> None:
        """All checks that need no account; raises ``Refused``."""
        self.route(request, passage)
        switches = self._switches
        header = request.headers.get("authorization")
        passage.key = self._keys.check(header, any_key=switches.accept_any_key)
        self._check_revision(request)
        operation = passage.operation
        assert operation is not None
        check_scopes(passage.key, operation.scopes)
        self._throttle(request, passage.key.account, now, passage)
        if operation.body is not None:
            self._read(request, passage)
        self._check_query(request.query, operation)
        if operation.body is not None:
            problems: list[Problem] = []
            operation.body(passage.body, "", operation.id, problems)
            if problems:
                raise Refused(400, problems)

    def route(self, request: Incoming, passage: Passage) -> None:
        """Find the operation; raises ``Refused`` (404, 405)."""
        operation, parameters, methods = self._operations.find(request.method, request.path)
        passage.operation = operation
        passage.identifier = parameters.get("id", "")
        if operation is not None:
            return
        if methods:
            detail = f"Method {request.method} is not allowed; use {', '.join(methods)}."
            problem = Problem(detail, code="method_not_allowed", title="Method not allowed.")
            raise Refused(405, problem, {"allow": ", ".join(methods)})
        detail = f"There is nothing at {request.path[:100]}."
        raise Refused(404, Problem(detail, code="not_found", title="Not found."))

    def perform(self, request: Incoming, account: Account, now: float, passage: Passage) -> Answer:
        """What the operation answers; raises ``Refused``."""
        operation = passage.operation
        assert operation is not None
        base = self._switches.link_base
        if base == "request":
            base = f"http://{request.headers.get('host', 'localhost')}"
        call = Call(
            operation=operation,
            account=account,
            now=now,
            id=passage.identifier,
            query=request.query,
            body=passage.body,
            size=len(passage.body_bytes),
            link_base=base,
            switches=self._switches,
        )
        return HANDLERS[operation.id](call)

    def count(
        self, operation: Operation, query: Mapping[str, str], account: str, now: float
    ) -> None:
        """Use up the rate limit for one request, as a replay does."""
        aligned = self._switches.limit_windows == "clock"
        self.limits.count(account, self._quotas(operation, query), now, aligned=aligned)

    def _check_revision(self, request: Incoming) -> None:
        revision = request.headers.get("revision", "")
        if self._switches.require_revision and not REVISION.fullmatch(revision):
            raise invalid("The header revision: YYYY-MM-DD is required.", parameter="revision")

    def _throttle(self, request: Incoming, account: str, now: float, passage: Passage) -> None:
        operation = passage.operation
        assert operation is not None
        if self._switches.limits == "off":
            return
        aligned = self._switches.limit_windows == "clock"
        quotas = self._quotas(operation, request.query)
        wait = self.limits.wait(account, quotas, now, aligned=aligned)
        if wait <= 0 or self._switches.limit_counts_refused:
            self.limits.count(account, quotas, now, aligned=aligned)
            passage.counted = True
        if wait > 0:
            seconds = str(math.ceil(wait))
            raise Refused(429, throttled(seconds), {"retry-after": seconds})
        steady = self._scaled(operation.steady)
        passage.limit_headers = self.limits.headers(account, steady, now, aligned=aligned)

    def _quotas(self, operation: Operation, query: Mapping[str, str]) -> list[Quota]:
        return [self._scaled(each) for each in (*operation.quotas, *dear_quotas(operation, query))]

    def _scaled(self, quota: Quota) -> Quota:
        scale = self._switches.limit_scale
        if scale == 1:
            return quota
        return Quota(quota.counter, quota.seconds, max(1, int(quota.calls * scale)))

    def _read(self, request: Incoming, passage: Passage) -> None:
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media not in MEDIA_TYPES:
            detail = f"Unsupported media type {media[:60]!r}; use application/vnd.api+json."
            raise _unsupported(detail)
        most = self._switches.request_bytes
        body = self._decoded(request, most)
        passage.body_bytes = body
        if len(body) > most:
            detail = f"The body is longer than {most} bytes."
            raise Refused(413, Problem(detail, code="too_large", title="Payload too large."))
        try:
            passage.body = msgspec.json.decode(body)
        except (ValueError, RecursionError):
            raise invalid("The body is no valid JSON.", "/data") from None

    def _decoded(self, request: Incoming, most: int) -> bytes:
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding in {"", "identity"}:
            return request.body
        if encoding != "gzip" or not self._switches.accept_gzip:
            raise _unsupported(f"Unsupported content encoding {encoding[:60]!r}.")
        try:
            return zlib.decompressobj(wbits=31).decompress(request.body, most + 1)
        except zlib.error:
            raise invalid("The body is no valid gzip.", "/data") from None

    def _check_query(self, query: Mapping[str, str], operation: Operation) -> None:
        problems = []
        for name, text in query.items():
            if name not in operation.query:
                if self._switches.refuse_unknown_parameters:
                    detail = f"'{name[:60]}' is not a valid parameter for this resource."
                    problems.append(Problem(detail, parameter=name))
                continue
            rule = operation.query[name]
            if name in {"filter", "page[size]", "page[cursor]"} or rule is None:
                continue
            word = {"include": "include", "sort": "sort"}.get(name, "field")
            problems += [
                Problem(
                    f"'{each[:60]}' is not an allowed {word} parameter for this resource.",
                    parameter=name,
                )
                for each in text.split(",")
                if each and each not in rule
            ]
        if problems:
            raise Refused(400, problems)


def _unsupported(detail: str) -> Refused:
    return Refused(415, Problem(detail, code="unsupported_media_type", title="Unsupported media."))
