"""Asking Klaviyo: the answer's body, or the end of the delivery."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from destination.errors import Ended
from destination.klaviyo.model import Json
from destination.klaviyo.requests import next_cursor
from destination.klaviyo.verdict import UNREADABLE, succeeded, verdict
from destination.sending import Account, Request, Response


def took(response: Response, account: Account) -> Response:
    """The response if it is a success. Raises ``Ended`` with the verdict otherwise."""
    if not succeeded(response):
        raise Ended(verdict(response, account.now))
    return response


def ask(request: Request, account: Account) -> Response:
    """The answer to a request that Klaviyo took. Raises ``Ended`` with the verdict otherwise."""
    return took(account.send(request), account)


def id_of(response: Response) -> str:
    """The id of the resource in an answer. Raises ``Ended`` (a retry) when there is none."""
    body = response.json()
    data = body.get("data") if isinstance(body, dict) else None
    id_ = data.get("id") if isinstance(data, dict) else None
    if not isinstance(id_, str) or not id_:
        raise Ended(UNREADABLE)
    return id_


def resources(response: Response) -> list[Json]:
    """The resources in an answer. Raises ``Ended`` (a retry) when it holds no list of them."""
    body: Any = response.json()
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, list):
        raise Ended(UNREADABLE)
    return [each for each in data if isinstance(each, dict) and isinstance(each.get("id"), str)]


def attributes_of(resource: Json) -> Json:
    """The attributes of a resource; empty when it has none."""
    found = resource.get("attributes")
    return found if isinstance(found, dict) else {}


def pages(
    page: Callable[[str], Request], account: Account, first: Response | None = None
) -> Iterator[Json]:
    """Every resource of every page; ``page(cursor)`` makes the request, ``first`` saves one.

    Raises ``Ended`` with the verdict on a page that was refused, and on pages that go in circles.
    """
    response = first or ask(page(""), account)
    seen = set[str]()
    while True:
        yield from resources(response)
        cursor = next_cursor(response)
        if not cursor:
            return
        if cursor in seen:
            raise Ended(UNREADABLE)
        seen.add(cursor)
        response = ask(page(cursor), account)
