"""A script of answers in place of Klaviyo, and what was asked of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from destination.sending import Account, Request, Response

NOW = 1_763_800_000.0
"""Sat, 22 Nov 2025 08:26:40 GMT."""

REVISION = "2026-07-15"


def answer(status: int, body: Any = None, **headers: str) -> Response:
    """An answer with a JSON body, or raw text, or none; ``_`` in header names stands for ``-``."""
    text = body if isinstance(body, str) else "" if body is None else json.dumps(body)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, names, text.encode())


def refusal(
    status: int, *pointers: str, code: str = "invalid", detail: str = "bad value", **meta: Any
) -> Response:
    """An error answer with an entry for each pointer (one without, if none is given)."""
    entries = [
        {"code": code, "detail": detail, "source": {"pointer": pointer}, "meta": meta}
        for pointer in pointers or ("/data",)
    ]
    return answer(status, {"errors": entries})


class Script:
    """Answers in order, the last one again and again; an exception in it is raised."""

    def __init__(self, *answers: Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(given, Exception):
            raise given
        return given

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Method and path of every request so far."""
        return [(each.method, each.path) for each in self.requests]


def remembering() -> Callable[[str, Callable[[], str]], str]:
    """An ``Once`` that keeps what it found."""
    known: dict[str, str] = {}

    def once(key: str, find: Callable[[], str]) -> str:
        if key not in known:
            known[key] = find()
        return known[key]

    return once


class Times:
    """The latest time told for each key, as an account keeps it."""

    def __init__(self) -> None:
        self.known: dict[str, float] = {}

    def recall(self, keys: Sequence[str]) -> list[float]:
        """What is known."""
        return [self.known.get(key, 0.0) for key in keys]

    def remember(self, times: Mapping[str, float]) -> None:
        """Keep the later of both."""
        for key, time in times.items():
            self.known[key] = max(time, self.known.get(key, 0.0))


def account(
    send: Callable[[Request], Response],
    *,
    now: float = NOW,
    revision: str = REVISION,
    times: Times | None = None,
) -> Account:
    """An account that sends through ``send`` and keeps its times in ``times``."""
    times = times or Times()
    return Account(send, remembering(), now, revision, times.recall, times.remember)


def rows_of(request: Request) -> Iterable[Any]:
    """The rows of a bulk request's body."""
    data = request.json["data"]
    if isinstance(data, list):
        return data
    attributes = data["attributes"]
    bulk = attributes.get("profiles") or attributes["events-bulk-create"]
    rows: list[Any] = bulk["data"]
    return rows
