"""The description of our routes: complete, valid, and readable without a script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import jsonschema_rs
import pytest
import redis
from starlette.routing import Route

from destination.runtime.routes.openapi import description
from tests.unit.runtime.serving import KEY, Server, serving


@pytest.fixture
def server(tmp_path: Path, redis_url: str, client: redis.Redis) -> Iterator[Server]:
    """A server with one source."""
    with serving(tmp_path, redis_url, DESTINATION_WRITE_KEY=KEY) as found:
        yield found


def test_every_route_is_described_and_no_other(server: Server) -> None:
    """Final slashes and what a parameter may hold aside; pages say that they are none."""
    there = {
        re.sub(r":\w+}", "}", route.path).rstrip("/")
        for route in server.app.routes
        if isinstance(route, Route) and route.include_in_schema
    }
    assert there == set(server.ask("GET", "/openapi.json").json()["paths"])


def test_the_methods_described_are_the_methods_taken(server: Server) -> None:
    """Whatever is described is not answered with 405."""
    for path, methods in description()["paths"].items():
        address = re.sub(r"{\w+}", "x", path)
        for method in methods:
            assert server.ask(method.upper(), address).status_code != 405, (method, path)


def test_every_operation_has_a_meaning_and_a_name_of_its_own() -> None:
    """What a generator of clients needs."""
    document = description()
    operations = [each for methods in document["paths"].values() for each in methods.values()]
    assert document["openapi"].startswith("3.1")
    assert len({each["operationId"] for each in operations}) == len(operations)
    assert all(each["summary"] and each["responses"]["200"] for each in operations)


def test_every_reference_leads_somewhere() -> None:
    """And every schema is one."""
    document = description()
    schemas = document["components"]["schemas"]
    for name in re.findall(r"#/components/schemas/(\w+)", repr(document)):
        assert name in schemas
    for schema in schemas.values():
        root = {"$defs": schemas, **schema}
        text = re.sub("#/components/schemas/", "#/$defs/", repr(root))
        assert "components" not in text
        jsonschema_rs.meta.validate(schema)


def test_answers_are_as_described(server: Server) -> None:
    """One of each kind, held against its schema."""
    document = description()
    event = {"type": "track", "event": "Bought", "userId": "u"}
    for path, name in (("/v1/batch", "Taken"), ("/webhooks/segment", "Counted")):
        body = {"batch": [event, 5]} if name == "Taken" else [event, 5]
        said = server.post(path, body, auth=(KEY, "")).json()
        root = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema_rs.validate(root, said)
    refused = server.post("/v1/batch", {}).json()
    error = {"$ref": "#/components/schemas/Error", "components": document["components"]}
    jsonschema_rs.validate(error, refused)


class Page(HTMLParser):
    """Notes what a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Every tag and attribute by which something is fetched."""
        if tag in ("script", "link", "img", "iframe") or {"src", "href"} & dict(attrs).keys():
            self.loads.append(tag)


def test_the_page_loads_and_runs_nothing(server: Server) -> None:
    """It works without a network, and names every path."""
    answer = server.ask("GET", "/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page = Page()
    page.feed(answer.text)
    assert page.loads == []
    for path in description()["paths"]:
        assert f"<code>{path}</code>" in answer.text
