"""Hot routes are reached directly, all others as ever."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from destination.runtime.http.shortcut import Shortcut


async def nothing(*_given: Any) -> Any:
    """Stands for ``receive`` and ``send``."""


def reached(scope: dict[str, Any]) -> list[str]:
    """The applications that a call comes to."""
    seen: list[str] = []

    def app(name: str) -> Any:
        async def called(_scope: Scope, _receive: Receive, _send: Send) -> None:
            seen.append(name)

        return called

    shortcut = Shortcut(app("all"), {"/v1/track": app("track")})
    asyncio.run(shortcut(scope, nothing, nothing))
    return seen


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        ({"type": "http", "path": "/v1/track"}, "track"),
        ({"type": "http", "path": "/v1/track/"}, "all"),
        ({"type": "http", "path": "/health"}, "all"),
        ({"type": "lifespan"}, "all"),
    ],
)
def test_only_a_hot_path_is_cut_short(scope: dict[str, Any], name: str) -> None:
    """Requests for other paths, and the start of the server, go to the whole application."""
    assert reached(scope) == [name]
