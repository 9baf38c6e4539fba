"""Posting rows: waiting as asked, halving, giving up; and files that are kept between runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from destination.errors import SettingsError
from destination.runtime.files.poster import PATIENCE, Poster, Taken, Target, Unposted
from destination.runtime.files.saved import Saved

TARGET = Target("http://server", "key", "list/a b", "removed", "email", "run-1")
Answer = Callable[[httpx.Request], httpx.Response]


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += seconds


def poster(
    *answers: httpx.Response | Exception, clock: Clock | None = None
) -> tuple[Poster, list[httpx.Request]]:
    """A poster whose server answers so, the last one for ever; and what it was asked."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        found = answers[min(len(asked), len(answers)) - 1]
        if isinstance(found, Exception):
            raise found
        return found

    time = clock or Clock()
    http = httpx.Client(transport=httpx.MockTransport(answer))
    return Poster(TARGET, http, sleep=time.sleep, clock=lambda: time.now), asked


def ok(accepted: int = 1, **more: Any) -> httpx.Response:
    """The answer to rows that were taken."""
    return httpx.Response(200, json={"success": True, "accepted": accepted, **more})


def error(status: int, **headers: str) -> httpx.Response:
    """An answer that refuses."""
    return httpx.Response(status, json={"message": "why not"}, headers=headers)


def test_rows_go_to_their_object_with_all_that_is_said_of_them() -> None:
    """As lines of JSON, with the write key in a header and not in the address."""
    bad = {"index": 1, "code": "c", "message": "m"}
    sender, asked = poster(ok(1, duplicate=1, unmatched=0, rejected=[bad]))
    assert sender.post([b'{"a":1}', b"{}"]) == Taken(1, 1, 0, ((1, "c", "m"),))
    (request,) = asked
    assert request.url.raw_path.startswith(b"/rows/list/a%20b?")
    said = {"op": "removed", "key": "email", "run": "run-1", "tool": "destination"}
    assert dict(request.url.params) == said
    assert request.content == b'{"a":1}\n{}'
    assert request.headers["x-write-key"] == "key"
    assert sender.post([]) == Taken()
    assert len(asked) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_the_server_says_how_long_to_wait(status: int) -> None:
    """And without a word the pauses grow."""
    clock = Clock()
    sender, asked = poster(
        error(status, **{"retry-after": "7"}), error(500), error(500), ok(), clock=clock
    )
    assert sender.post([b"{}"]).accepted == 1
    assert clock.slept == [7, 1, 2]
    assert len({request.content for request in asked}) == 1


def test_a_lost_answer_is_asked_for_again() -> None:
    """Once the server is known to be there; the rows have ids, so they count once."""
    sender, asked = poster(ok(), httpx.ReadTimeout("slow"), httpx.ConnectError("gone"), ok())
    sender.post([b"{}"])
    assert sender.post([b"{}"]).accepted == 1
    assert len(asked) == 4


def test_patience_ends() -> None:
    """With what was answered last."""
    clock = Clock()
    sender, _asked = poster(error(503), clock=clock)
    with pytest.raises(Unposted, match="503 why not"):
        sender.post([b"{}"])
    assert PATIENCE / 2 < clock.now <= PATIENCE
    sender, asked = poster(error(429, **{"retry-after": "86400"}))
    with pytest.raises(Unposted):
        sender.post([b"{}"])
    assert len(asked) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_a_refusal_that_stays_is_not_waited_for(status: int) -> None:
    """A wrong key does not become right."""
    sender, asked = poster(error(status))
    with pytest.raises(Unposted, match=f"{status} why not"):
        sender.post([b"{}"])
    assert len(asked) == 1


def test_a_stranger_is_not_waited_for() -> None:
    """A server that never answered, and one that is something else."""
    sender, asked = poster(httpx.ConnectError("refused"))
    with pytest.raises(Unposted, match="destination up"):
        sender.post([b"{}"])
    assert len(asked) == 1
    for answer in (httpx.Response(200, text="<html>"), httpx.Response(200, json=[])):
        with pytest.raises(Unposted, match="no Destination server"):
            poster(answer)[0].post([b"{}"])


def test_too_large_a_request_goes_in_halves() -> None:
    """Down to single rows; the places of rejected ones are those of the whole."""

    def answer(request: httpx.Request) -> httpx.Response:
        if len(request.content) > 12:
            return error(413)
        rows = request.content.split(b"\n")
        bad = [
            {"index": at, "code": "x", "message": ""}
            for at, row in enumerate(rows)
            if row == b"bad"
        ]
        return ok(len(rows) - len(bad), rejected=bad)

    sender = Poster(TARGET, httpx.Client(transport=httpx.MockTransport(answer)))
    taken = sender.post([b"a", b"b", b"c", b"x" * 50, b"bad", b"d", b"e", b"bad"])
    assert taken.accepted == 5
    assert [(at, code) for at, code, _text in taken.rejected] == [
        (3, "payload_too_large"),
        (4, "x"),
        (7, "x"),
    ]


def test_another_operation_goes_over_the_same_connections() -> None:
    """And is told apart."""
    sender, asked = poster(ok())
    sender.to(operation="added", run="run-2").post([b"{}"])
    assert dict(asked[0].url.params)["op"] == "added"
    assert sender.target.operation == "removed"


def test_what_was_saved_is_whole_or_absent(tmp_path: Path) -> None:
    """What cannot be read counts as nothing; only the owner may read it."""
    saved = Saved(tmp_path / "deep" / "state.json")
    with saved.alone("saving"):
        assert saved.read() is None
        saved.write({"a": 1})
        saved.write({"a": 2})
        assert saved.read() == {"a": 2}
        assert saved.path.stat().st_mode & 0o077 == 0
        for broken in (b"", b"{", b"[]"):
            saved.path.write_bytes(broken)
            assert saved.read() is None
        saved.forget()
        saved.forget()
        assert saved.read() is None


def test_only_one_process_does_it(tmp_path: Path) -> None:
    """The second is told, and may when the first has ended."""
    saved = Saved(tmp_path / "state.json")
    other = Saved(tmp_path / "state.json")
    refused = pytest.raises(SettingsError, match="loading x is under way")
    with saved.alone("loading x"), refused, other.alone("loading x"):
        pass
    with saved.alone("loading x"):
        pass
