"""What a mirror asks and reads: patience with Klaviyo, files from addresses, memory between runs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from destination.delivery import Discard
from destination.errors import Ended, NoRoom, Unanswered
from destination.ingress.columns import AS_THEY_ARE
from destination.klaviyo.mirror import Member, Memory, Plan, Wanted, mark
from destination.klaviyo.requests import get_list
from destination.runtime.files.loading import Reading
from destination.runtime.files.mirror import (
    PATIENCE,
    Mirror,
    Unreadable,
    audience_in,
    fetched,
    patient,
)
from destination.runtime.files.poster import Poster, Target
from destination.runtime.files.saved import Saved
from destination.sending import Account, Response
from tests.unit.klaviyo.klaviyo_script import NOW, REVISION, Script, answer, refusal, remembering
from tests.unit.runtime.test_poster import Clock

OK = answer(200, {"data": {}})


def asked(*answers: Response | Exception) -> tuple[Response, Clock, list[str]]:
    """The answer in the end, the time it took, and what was said meanwhile."""
    clock, said = Clock(), list[str]()
    send = patient(Script(*answers), said.append, sleep=clock.sleep, clock=lambda: clock.now)
    return send(get_list("XyZ123")), clock, said


def test_a_question_waits_for_what_is_asked_for() -> None:
    """Room, ``Retry-After``, and Klaviyo to be back; long waits are told."""
    response, clock, said = asked(
        NoRoom(0.2, "get_list"),
        answer(429, retry_after="7"),
        answer(503),
        Unanswered("cut"),
        OK,
    )
    assert response.status == 200
    assert clock.slept == [0.2, 7, 4, 8]
    assert len(said) == 3


def test_a_refusal_is_an_answer() -> None:
    """Nothing is asked twice in vain."""
    for status in (400, 401, 403, 404):
        response, clock, _said = asked(refusal(status))
        assert (response.status, clock.slept) == (status, [])


@pytest.mark.parametrize("problem", [NoRoom(30, "get_list"), Unanswered("cut")])
def test_patience_ends_with_what_came_last(problem: Exception) -> None:
    """An answer or an error."""
    clock = Clock()
    send = patient(Script(problem), lambda _text: None, sleep=clock.sleep, clock=lambda: clock.now)
    with pytest.raises(type(problem)):
        send(get_list("XyZ123"))
    assert PATIENCE * 0.9 < clock.now <= PATIENCE
    assert asked(answer(429, retry_after="86400"))[0].status == 429


@contextmanager
def answering(raw: bytes) -> Iterator[str]:
    """A server that gives these bytes to whoever comes first."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _address = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(raw)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/people.csv?token=secret"
        thread.join()


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nemail\na@acme.io\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nemail\n\r\n",
        b"HTTP/1.1 500 Oh\r\nContent-Length: 6\r\n\r\nemail\n",
        b"",
    ],
)
def test_half_an_audience_is_none(tmp_path: Path, raw: bytes) -> None:
    """A cut download would take everybody off who comes behind the cut."""
    with answering(raw) as url, pytest.raises(Unreadable) as failed:
        fetched(url, tmp_path)
    assert "nothing was changed" in str(failed.value)
    assert "secret" not in str(failed.value)


def test_a_whole_file_is_fetched(tmp_path: Path) -> None:
    """Under the name in the address, so that its kind is known."""
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\nemail\na@acme.io\n"
    with answering(raw) as url:
        file = fetched(url, tmp_path / "deep")
    assert (file.name, file.read_text()) == ("people.csv", "email\na@acme.io\n")


def test_columns_with_identifiers_are_known_by_many_names(tmp_path: Path) -> None:
    """Those of Klaviyo's own files too; other columns stay where they are."""
    file = tmp_path / "people.csv"
    file.write_text(
        "Email,PhoneNumber,ExternalID,Country Code,Plan\n"
        "Ann@acme.io,(415) 555-2671,7,US,pro\nbad,,,,\n,,,,x\n"
    )
    found = audience_in(file, Reading(), AS_THEY_ARE, "", tmp_path / "rejected.csv")
    assert [person.row for person in found.wanted.people] == [
        {"email": "ann@acme.io", "phone_number": "+14155552671", "external_id": "7"}
    ]
    assert (found.rows, found.rejected) == (3, 2)
    assert [(line, code) for line, code, _text in found.first] == [
        (3, "invalid_email"),
        (4, "missing_identifier"),
    ]
    file.write_text("name\nAnn\n")
    with pytest.raises(Unreadable, match="no column names people"):
        audience_in(file, Reading(), AS_THEY_ARE, "", tmp_path / "rejected.csv")


def planned(there: Member) -> Plan:
    """One joins, one is there already, one leaves."""
    wanted = Wanted()
    for row in ({"email": "new@acme.io", "first_name": "N"}, {"phone_number": "+14155552671"}):
        wanted.add(row)
    wanted.add({"email": "there@acme.io"})
    new, phone, present = wanted.people
    return Plan((new, phone), (there,), (present,), members=2, wanted=3)


def test_changes_are_posted_under_the_identifier_that_stands_for_a_person(tmp_path: Path) -> None:
    """Leavers first, each by one identifier; and are remembered before they are posted."""
    saved = Saved(tmp_path / "state.json")
    posted: list[tuple[str, str, bytes, Any]] = []

    def take(request: httpx.Request) -> httpx.Response:
        told = request.url.params
        posted.append((told["op"], told["key"], request.content, saved.read()))
        return httpx.Response(200, json={"accepted": request.content.count(b"\n") + 1})

    poster = Poster(
        Target("http://server", "key", "list/XyZ123"),
        httpx.Client(transport=httpx.MockTransport(take)),
    )
    account = Account(Script(OK), remembering(), NOW, REVISION)
    gone = Member(
        "G", frozenset({("email", "gone@acme.io")}), {"email": "Gone@acme.io", "external_id": "9"}
    )
    mirror = Mirror("XyZ123", account, saved)
    assert mirror.post(planned(gone), poster).accepted == 3
    assert [(op, key, body) for op, key, body, _kept in posted] == [
        ("removed", "email", b'{"email":"Gone@acme.io"}'),
        ("added", "email", b'{"email":"new@acme.io","first_name":"N"}'),
        ("added", "phone_number", b'{"phone_number":"+14155552671"}'),
    ]
    kept = posted[0][3]
    assert kept["leaving"] == [mark(("email", "gone@acme.io"))]
    assert kept["seen"] == [mark(("email", "there@acme.io"))]
    again = Mirror("XyZ123", account, saved)
    assert again.memory == Memory(frozenset(kept["seen"]), frozenset(kept["leaving"]))


def test_members_that_cannot_be_read_end_the_mirror(tmp_path: Path) -> None:
    """Half a list would be read as many additions."""
    page = answer(
        200,
        {
            "data": [{"id": "A", "attributes": {"email": "a@acme.io"}}],
            "links": {"next": "https://a.klaviyo.com/api/x?page%5Bcursor%5D=c"},
        },
    )
    account = Account(Script(page, refusal(401)), remembering(), NOW, REVISION)
    with pytest.raises(Ended) as ended:
        Mirror("XyZ123", account, Saved(tmp_path / "state.json")).members()
    assert not isinstance(ended.value.outcome, Discard)
