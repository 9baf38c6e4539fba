"""The sandbox as one object without a network: requests go in, replies come out, and it remembers.

Work is worked off when it is due by the sandbox's clock, before the next request is looked at; so
the state depends only on the requests and their times, and a ledger replays to the same state.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from destination.sandbox import control
from destination.sandbox.bench import Bench
from destination.sandbox.calls.call import Answer
from destination.sandbox.clock import Clock, RealClock
from destination.sandbox.errors import Refused, envelope
from destination.sandbox.faults import Effect
from destination.sandbox.gateway import Passage
from destination.sandbox.keys import SCHEME, fingerprint
from destination.sandbox.ledger import Entry, Ledger, public, read
from destination.sandbox.requests import Incoming, Reply, json_reply
from destination.sandbox.switches import Switches


class Sandbox:
    """Answers requests to the API and to the control routes; keeps the ledger."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        switches: Switches | None = None,
        ledger: Path | None = None,
        seed: str = "sandbox",
    ) -> None:
        self.bench = Bench(clock or RealClock(), switches or Switches(), seed)
        self._seq = 0
        self._now = 0.0
        known = list(read(ledger)) if ledger is not None else []
        held = self.bench.switches
        self.ledger = Ledger(ledger, most=held.keep_requests, most_bytes=held.keep_body_bytes)
        for entry in known:
            self._replay(entry)

    def handle(self, request: Incoming) -> Reply:
        """Answer a request to the API."""
        now = self._tick()
        passage = Passage()
        entry = Entry(self._seq, now, "api", request.method, request.path, dict(request.query))
        entry.rules, entry.rule, effect = self._fault(request, passage)
        reply = None
        if effect is None or effect.applies:
            reply = self._work(request, now, passage, entry)
        self._note(entry, request, passage)
        if effect is not None:
            reply = effect.spoil(reply)
            entry.fault = effect.name
        assert reply is not None
        entry.status = 0 if reply.cut is not None and reply.cut < 0 else reply.status
        self.ledger.add(entry)
        return reply

    def command(self, path: str, body: Any) -> Any:
        """Do a control command that changes something; raises ``ValueError`` for a wrong one."""
        now = self._tick()
        answer = control.command(self.bench, path, body, now)
        if path == "reset":
            self.ledger.clear()
        raw = msgspec.Raw(msgspec.json.encode(body))
        self.ledger.add(Entry(self._seq, now, "control", "POST", path, body=raw))
        return answer

    def state(self, account: str) -> dict[str, Any]:
        """All that an account holds."""
        return control.state(self.bench, account, self._tick(count=False))

    def counts(self, account: str) -> dict[str, Any]:
        """How much of everything an account holds."""
        return control.counts(self.bench, account, self._tick(count=False))

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """The API requests after number ``since`` that are still kept."""
        return [public(each) for each in self.ledger.since(since) if each.kind == "api"]

    def _tick(self, *, count: bool = True) -> float:
        # A clock that was set back must not undo what has been seen to be due.
        self._now = max(self._now, self.bench.clock.now())
        self._seq += 1 if count else 0
        self.bench.settle(self._now)
        return self._now

    def _fault(self, request: Incoming, passage: Passage) -> tuple[list[int], int, Effect | None]:
        bench = self.bench
        try:
            bench.gateway.route(request, passage)
        except Refused:
            passage.operation = None
        if bench.switches.scripts and b"__script" in request.body:
            effect = bench.scripts.take(_json(request.body))
            if effect is not None:
                return [], 0, effect
        traits = {
            "method": request.method,
            "path": request.path,
            "operation": passage.operation.id if passage.operation else "",
            "account": bench.keys.account(request.headers.get("authorization", "")),
            "body_contains": request.body.decode("utf-8", "replace") if bench.faults else "",
        }
        return bench.faults.take(traits)

    def _work(self, request: Incoming, now: float, passage: Passage, entry: Entry) -> Reply:
        bench = self.bench
        try:
            bench.gateway.enter(request, now, passage)
            assert passage.key is not None
            answer = bench.gateway.perform(
                request, bench.account(passage.key.account), now, passage
            )
        except Refused as refused:
            ids = [bench.ids.uuid("error") for _ in refused.problems]
            document = envelope(refused.status, refused.problems, ids)
            answer = Answer(refused.status, document, refused.headers)
        else:
            entry.applied = request.method != "GET"
        limits = passage.limit_headers or {}
        return json_reply(answer.status, answer.document, {**limits, **answer.headers})

    def _note(self, entry: Entry, request: Incoming, passage: Passage) -> None:
        key = request.headers.get("authorization", "").removeprefix(SCHEME)
        entry.key = fingerprint(key) if key else ""
        entry.account = passage.key.account if passage.key else ""
        entry.revision = request.headers.get("revision", "")
        entry.operation = passage.operation.id if passage.operation else ""
        entry.counted = passage.counted
        body = passage.body_bytes or request.body
        if not body:
            return
        if passage.body is not None and b"\n" not in body:
            entry.body = msgspec.Raw(body)
            return
        decoded = _json(body)
        if decoded is None:
            entry.text = body.decode("utf-8", "replace")
        else:
            entry.body = msgspec.Raw(msgspec.json.encode(decoded))

    def _replay(self, entry: Entry) -> None:
        """Do again what an entry of an earlier life did."""
        self._seq, self._now = entry.seq, entry.t
        bench = self.bench
        bench.settle(entry.t)
        raw = b"" if entry.body is msgspec.UNSET else bytes(entry.body)
        if entry.kind == "control":
            control.command(bench, entry.path, msgspec.json.decode(raw), entry.t)
            if entry.path == "reset":
                self.ledger.clear()
            return
        self.ledger.remember(entry)
        passage = Passage(body_bytes=raw)
        request = Incoming(entry.method, entry.path, entry.query, {}, raw)
        if bench.switches.scripts and b"__script" in raw:
            bench.scripts.take(_json(raw))
        bench.faults.again(entry.rules, entry.rule)
        if not entry.operation:
            return
        bench.gateway.route(request, passage)
        assert passage.operation is not None
        if entry.counted:
            bench.gateway.count(passage.operation, entry.query, entry.account, entry.t)
        if entry.applied:
            passage.body = _json(raw)
            bench.gateway.perform(request, bench.account(entry.account), entry.t, passage)


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
