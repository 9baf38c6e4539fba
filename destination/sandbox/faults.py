"""Faults on demand: rules set through the control API, and scripts carried by the data itself."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from destination.sandbox.errors import Problem, envelope
from destination.sandbox.requests import MEDIA, Reply

MATCHES = ("method", "path_prefix", "path", "operation", "account", "body_contains")
PASSES = {"ok", "200", "201", "202", "204"}
NO_ID = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Effect:
    """What is to happen to one request. ``applies``: it is worked off before anything goes wrong."""

    name: str
    applies: bool = True
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    delay: float = 0.0
    cut: int | None = None
    trickle: float = 0.0

    def spoil(self, reply: Reply | None) -> Reply:
        """The reply that is sent instead of ``reply`` (None when nothing was worked off)."""
        if self.status is not None or reply is None:
            status = self.status or 500
            body = self.body if self.body is not None else _error_body(status, self.headers)
            headers: Mapping[str, str] = {"content-type": MEDIA, **self.headers}
            reply = Reply(status, headers, body)
        else:
            body = reply.body if self.body is None else self.body
            reply = reply.changed(headers={**reply.headers, **self.headers}, body=body)
        return reply.changed(delay=self.delay, cut=self.cut, trickle=self.trickle)


@dataclass(slots=True)
class Fault:
    """A rule: which requests, how often, and what happens to them."""

    id: int
    match: Mapping[str, str]
    effect: Effect
    times: int | None
    skip: int
    every: int
    seen: int = 0
    fired: int = 0

    def wants(self, request: Mapping[str, Any]) -> bool:
        """Whether it is about this request, leaving aside how often."""
        for name, value in self.match.items():
            held = str(request[{"path_prefix": "path"}.get(name, name)])
            if name == "path_prefix":
                hit = held.startswith(value)
            elif name == "body_contains":
                hit = value in held
            else:
                hit = held.rstrip("/") == value.rstrip("/")
            if not hit:
                return False
        return True


class Faults:
    """All rules, the oldest first; the first that wants a request gets it."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self._number = 0

    def add(self, rule: Mapping[str, Any]) -> int:
        """Add a rule as README.md describes it; its number. Raises ``ValueError``."""
        unknown = set(rule) - {"match", "times", "skip", "every", *EFFECT}
        if unknown:
            raise ValueError(f"a fault knows no {', '.join(sorted(unknown))}")
        match = rule.get("match") or {}
        if set(match) - set(MATCHES):
            raise ValueError(f"a fault matches by {', '.join(MATCHES)}; not by {sorted(match)}")
        self._number += 1
        effect = _effect(rule, f"fault {self._number}")
        times, skip, every = rule.get("times"), rule.get("skip", 0), rule.get("every", 1)
        self._rules.append(Fault(self._number, match, effect, times, skip, every))
        return self._number

    def clear(self) -> None:
        """Forget all rules."""
        self._rules.clear()

    def __len__(self) -> int:
        return len(self._rules)

    def again(self, seen: Collection[int], fired: int) -> None:
        """Count what a request of an earlier life met: the rules that saw it, the one that fired."""
        for rule in self._rules:
            rule.seen += rule.id in seen
            rule.fired += rule.id == fired

    def take(self, request: Mapping[str, Any]) -> tuple[list[int], int, Effect | None]:
        """``(rules that saw the request, the one that fires or 0, its effect)``; counts them."""
        seen: list[int] = []
        for rule in self._rules:
            if rule.times is not None and rule.fired >= rule.times:
                continue
            if not rule.wants(request):
                continue
            rule.seen += 1
            seen.append(rule.id)
            if rule.seen > rule.skip and (rule.seen - rule.skip - 1) % rule.every == 0:
                rule.fired += 1
                return seen, rule.id, rule.effect
        return seen, 0, None

    def state(self) -> list[dict[str, Any]]:
        """For the control API: each rule with how often it has fired."""
        return [
            {
                "id": rule.id,
                "match": dict(rule.match),
                "times": rule.times,
                "seen": rule.seen,
                "fired": rule.fired,
            }
            for rule in self._rules
        ]


class Scripts:
    """Scripts in ``__script`` properties: what the attempts to deliver that datum are answered."""

    def __init__(self) -> None:
        self._attempts: dict[str, int] = {}

    def take(self, body: Any) -> Effect | None:
        """Step on in every script that ``body`` carries; the first step that spoils the answer."""
        chosen: Effect | None = None
        for key, steps in _scripts(body):
            attempt = self._attempts.get(key, 0)
            self._attempts[key] = attempt + 1
            step = str(steps[attempt]) if attempt < len(steps) else "ok"
            if chosen is None and step not in PASSES:
                chosen = script_effect(step)
        return chosen


def script_effect(step: str) -> Effect:
    """The effect of a step; an unknown one is a 500 that says so.

    ``reset_before_apply``, ``reset_after_apply``, ``delay:SECONDS``, ``html:STATUS``,
    ``STATUS``, ``429:RETRY_AFTER`` (``429:none`` for no header), ``STATUS_after_apply``.
    """
    name, _, argument = step.partition(":")
    if name in {"reset_before_apply", "reset_after_apply"}:
        return Effect(step, applies=name == "reset_after_apply", cut=-1)
    if name == "delay" and argument:
        return Effect(step, delay=float(argument))
    if name == "html" and argument:
        return _effect({"status": int(argument), "html": True}, step)
    code, _, after = name.partition("_")
    if code.isdigit() and after in {"", "after_apply"}:
        rule: dict[str, Any] = {"status": int(code), "apply": "after" if after else "before"}
        if code == "429" and argument != "none":
            rule["retry_after"] = argument or "1"
        return _effect(rule, step)
    return _effect({"status": 500, "body": f"unknown step in __script: {step[:60]}"}, step)


EFFECT = {"status", "retry_after", "body", "html", "delay", "apply", "header", "cut", "trickle"}


def _effect(rule: Mapping[str, Any], name: str) -> Effect:
    status, apply = rule.get("status"), rule.get("apply")
    if apply not in {None, "before", "after"}:
        raise ValueError(f"apply is 'before' or 'after', not {apply!r}")
    headers = {key.lower(): str(value) for key, value in (rule.get("header") or {}).items()}
    if rule.get("retry_after") is not None:
        headers["retry-after"] = str(rule["retry_after"])
    cut = rule.get("cut")
    if apply is not None and status is None and cut is None:
        cut = -1
    return Effect(
        name=name,
        applies=apply == "after" or (apply is None and status is None),
        status=status,
        headers=headers,
        body=_body(rule, headers),
        delay=float(rule.get("delay") or 0),
        cut=cut,
        trickle=float(rule.get("trickle") or 0),
    )


def _body(rule: Mapping[str, Any], headers: dict[str, str]) -> bytes | None:
    body = rule.get("body")
    if rule.get("html"):
        headers.setdefault("content-type", "text/html; charset=UTF-8")
        status = rule.get("status") or 200
        text = body if isinstance(body, str) else f"<html><body><h1>{status}</h1></body></html>"
        return text.encode()
    if body is None:
        return None
    return body.encode() if isinstance(body, str) else msgspec.json.encode(body)


def throttled(seconds: str) -> Problem:
    """The one problem of a 429."""
    unit = "second" if seconds == "1" else "seconds"
    detail = f"Request was throttled. Expected available in {seconds} {unit}."
    return Problem(detail, "/data/", code="throttled", title="Request was throttled.")


def _error_body(status: int, headers: Mapping[str, str]) -> bytes:
    if status < 400:
        return b""
    if status == 429:
        problem = throttled(headers.get("retry-after", "0"))
    else:
        problem = Problem("A server error occurred.", code="error", title=f"Status {status}.")
    return msgspec.json.encode(envelope(status, [problem], [NO_ID]))


def _scripts(value: Any) -> Iterator[tuple[str, list[Any]]]:
    if isinstance(value, list):
        for each in value:
            yield from _scripts(each)
    elif isinstance(value, dict):
        properties = value.get("properties")
        steps = properties.get("__script") if isinstance(properties, dict) else None
        if isinstance(steps, list):
            yield _script_key(value), steps
        for name, each in value.items():
            if name != "properties" and isinstance(each, (dict, list)):
                yield from _scripts(each)


def _script_key(attributes: Mapping[str, Any]) -> str:
    for name in ("unique_id", "external_id", "email", "phone_number"):
        if isinstance(attributes.get(name), str):
            return f"{name}={attributes[name]}"
    return hashlib.sha256(msgspec.json.encode(attributes)).hexdigest()
