"""The server in this process, on a real Redis, asked over ASGI; and the stand-ins around it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from destination.errors import Rejected
from destination.runtime.delivery.accounts import Questions
from destination.runtime.server import create_app
from destination.settings import load_settings

TOKEN = "an-admin-token-of-the-tests"
KEY = "key-of-the-shop"

PROFILE = {
    "name": "profiles",
    "action": "upsertProfile",
    "trigger": 'type = "identify"',
    "fields": {"email": {"@path": "$.traits.email"}, "external_id": {"@path": "$.userId"}},
}
EVENT = {
    "name": "events",
    "action": "trackEvent",
    "trigger": 'type = "track" and event != "Signed Up" and event != "new" and event != "deleted"',
    "fields": {
        "metric_name": {"@path": "$.event"},
        "profile": {"external_id": {"@path": "$.userId"}},
        "properties": {"@path": "$.properties"},
    },
}
SUBSCRIBE = {
    "name": "subscribe",
    "action": "subscribeProfile",
    "trigger": 'type = "track" and event = "Signed Up"',
    "fields": {"email": {"@path": "$.properties.email"}},
}
ROWS = {
    "name": "rows",
    "action": "upsertProfile",
    "trigger": 'type = "track" and event = "new"',
    "fields": {"email": {"@path": "$.properties.email"}},
}


class FakeKlaviyo:
    """An account with one list; makes others when it is asked to."""

    def __init__(self) -> None:
        self.held = {"XyZ123": "Newsletter"}
        self.trouble = ""
        self.closed = False

    def list_named(self, connection: str, name: str) -> str:
        self._refuse()
        for id_, held in self.held.items():
            if held == name:
                return id_
        id_ = f"New{len(self.held):03}"
        self.held[id_] = name
        return id_

    def list_with(self, connection: str, id_: str) -> str:
        self._refuse()
        if id_ not in self.held:
            raise Rejected(404, "list_not_found", f"there is no list {id_}")
        return id_

    def lists(self, connection: str) -> Mapping[str, str]:
        self._refuse()
        return self.held

    def problem(self, connection: str) -> str:
        return self.trouble

    def close(self) -> None:
        self.closed = True

    def _refuse(self) -> None:
        if self.trouble:
            raise Rejected(503, "no_room", self.trouble, retry_after=7)


class Server:
    """Asks the server; each request runs the server's loop until it is answered."""

    def __init__(self, app: Starlette, runner: asyncio.Runner) -> None:
        self.app = app
        self._runner = runner
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("198.51.100.7", 1))
        self._http = httpx.AsyncClient(transport=transport, base_url="http://test")

    def ask(self, method: str, path: str, **about: Any) -> httpx.Response:
        """One request, with exactly the headers given."""
        return self._runner.run(self._http.request(method, path, **about))

    def post(self, path: str, document: Any = b"", **about: Any) -> httpx.Response:
        """POST a document as JSON, or bytes as they are."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.ask("POST", path, content=body, **about)

    def source(self, name: str = "default") -> dict[str, int]:
        """The counts of a source; all zero when it has none yet."""
        headers = {"authorization": f"Bearer {TOKEN}"}
        counts = self.ask("GET", "/admin/counts", headers=headers).json()
        assert counts["imbalance"] == []
        zero = dict.fromkeys(("received", "accepted", "duplicate", "unmatched", "refused"), 0)
        return {state: counts["sources"].get(name, zero)[state] for state in zero}


@contextlib.contextmanager
def serving(
    folder: Path,
    redis_url: str,
    toml: str = "",
    accounts: Questions | None = None,
    **environ: str,
) -> Iterator[Server]:
    """The server with these settings; its mappings are the four above."""
    (folder / "mappings").mkdir(exist_ok=True)
    document = {"name": "test", "mappings": [PROFILE, EVENT, SUBSCRIBE, ROWS]}
    (folder / "mappings" / "test.json").write_text(json.dumps(document))
    (folder / "destination.toml").write_text(textwrap.dedent(toml))
    named = {"DESTINATION_ADMIN_TOKEN": TOKEN, "DESTINATION_MAPPINGS": str(folder / "mappings")}
    settings = load_settings(folder=folder, environ=named | environ)
    app = create_app(settings, redis_url, accounts)
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        try:
            yield Server(app, runner)
        finally:
            runner.run(lifespan.__aexit__(None, None, None))
