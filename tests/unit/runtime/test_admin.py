"""Who may use the admin routes, and what a selection of dead letters may say."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.requests import Request

from destination.errors import Rejected
from destination.runtime.routes.admin import admitted, read_selection
from destination.settings import load_settings

TOKEN = "a-long-admin-token"


def request(client: str = "127.0.0.1", /, body: bytes = b"", **headers: str) -> Request:
    """A request from the address ``client``."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    given = {"host": "127.0.0.1:8080", **headers}
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()]
    scope = {"type": "http", "method": "POST", "client": (client, 1), "headers": raw}
    return Request(scope, receive)


@pytest.mark.parametrize(
    ("asked", "let_in"),
    [
        (request(), True),
        (request(host="localhost:8080"), True),
        (request("::1", host="[::1]:8080"), True),
        (request("203.0.113.9"), False),
        (request(x_forwarded_for="203.0.113.9"), False),
        (request(forwarded="for=203.0.113.9"), False),
        (request(host="evil.example:8080"), False),
        (request(origin="https://evil.example"), False),
        (request(origin="null"), False),
        (request(origin="http://localhost:8080"), True),
    ],
)
def test_without_a_token_only_the_machine_itself(
    tmp_path: Path, asked: Request, let_in: bool
) -> None:
    """Not through a proxy, and not from a page that points a name of its own at this machine."""
    settings = load_settings(folder=tmp_path, environ={})
    assert admitted(asked, settings) is let_in


@pytest.mark.parametrize(
    ("given", "let_in"),
    [(f"Bearer {TOKEN}", True), ("Bearer x", False), ("", False), ("Bearer ä", False)],
)
def test_with_a_token_whoever_presents_it(tmp_path: Path, given: str, let_in: bool) -> None:
    """From anywhere, and nobody else from anywhere."""
    settings = load_settings(folder=tmp_path, environ={})
    settings = settings.model_copy(update={"admin_token": SecretStr(TOKEN)})
    for host in ("127.0.0.1", "203.0.113.9"):
        assert admitted(request(host, authorization=given), settings) is let_in


@pytest.mark.parametrize(
    "body",
    [
        b'{"all": false}',
        b'{"all": 1}',
        b'{"code": null}',
        b'{"code": ""}',
        b'{"ids": [1]}',
        b'{"ids": "x"}',
        b"{}",
        b"[]",
        b"{",
    ],
)
def test_a_selection_that_says_nothing_is_refused(body: bytes) -> None:
    """It must not mean every dead letter."""
    with pytest.raises(Rejected):
        asyncio.run(read_selection(request(body=body, content_type="application/json")))


def test_a_form_of_a_strangers_page_is_refused() -> None:
    """It can post anything but this content type."""
    asked = request(body=b'{"all": true}', content_type="text/plain")
    with pytest.raises(Rejected) as error:
        asyncio.run(read_selection(asked))
    assert error.value.status == 415


@pytest.mark.parametrize("body", [b'{"all": true}', b'{"ids": ["a"]}', b'{"code": "x"}'])
def test_a_selection_that_says_which_is_taken(body: bytes) -> None:
    """As it is."""
    found = asyncio.run(read_selection(request(body=body, content_type="application/json")))
    assert found
