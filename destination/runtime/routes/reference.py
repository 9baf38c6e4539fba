"""``GET /openapi.json`` and ``/docs``: our routes, for programs and for people."""

from __future__ import annotations

from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from destination.runtime.routes.openapi import description

HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
"""The page loads nothing and runs nothing."""

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
h2 { margin-top: 2rem } details { border-top: 1px solid #8884; padding: .4rem 0 }
code { font: 14px ui-monospace, monospace } summary { cursor: pointer } b { display: inline-block }
b { min-width: 4rem; text-transform: uppercase; font-size: 13px } dt { font-weight: 600 }
"""


def page(document: dict[str, Any]) -> str:
    """The description as one static page."""
    info = document["info"]
    tags: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            entry = _operation(path, method, operation)
            tags.setdefault(operation["tags"][0], []).append(entry)
    parts = [f"<h2>{escape(tag)}</h2>\n" + "\n".join(entries) for tag, entries in tags.items()]
    ways = document["components"]["securitySchemes"]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(info['title'])}</title><style>{STYLE}</style>"
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>{escape(info['description'])}</p><p><code>GET /openapi.json</code></p>"
        f"{_listed({name: way['description'] for name, way in ways.items()})}"
        f"{''.join(parts)}</html>"
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    told = {
        each["name"]: each.get("description", "in the path") for each in operation["parameters"]
    }
    ways = " or ".join(way for each in operation.get("security", []) for way in each)
    if ways:
        told["credential"] = ways
    body = operation.get("requestBody")
    if body:
        told["body"] = " or ".join(
            _named(content["schema"]) or kind for kind, content in body["content"].items()
        )
    for status, answer in operation["responses"].items():
        ((_kind, content),) = answer["content"].items()
        told[status] = f"{answer['description']} {_named(content['schema'])}"
    return (
        f"<details><summary><b>{escape(method)}</b> <code>{escape(path)}</code>"
        f" {escape(operation['summary'])}</summary>{_listed(told)}</details>"
    )


def _named(schema: dict[str, Any]) -> str:
    refs = [each["$ref"] for each in schema.get("oneOf", [schema]) if "$ref" in each]
    return " or ".join(ref.rpartition("/")[2] for ref in refs)


def _listed(told: dict[str, str]) -> str:
    entries = (f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in told.items())
    return f"<dl>{''.join(entries)}</dl>"


def routes() -> list[Route]:
    """Both, made once."""
    document = description()
    html = page(document)

    async def as_json(_request: Request) -> Response:
        return JSONResponse(document)

    async def as_page(_request: Request) -> Response:
        return HTMLResponse(html, headers=HEADERS)

    return [Route("/openapi.json", as_json), Route("/docs", as_page)]
