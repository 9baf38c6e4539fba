"""Pages of a collection, by opaque cursors."""

from __future__ import annotations

import base64
import binascii
import bisect
import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from destination.sandbox.calls.call import Answer, Call
from destination.sandbox.calls.filters import Reader
from destination.sandbox.errors import invalid

Key = Callable[[Any], tuple[Any, ...]]


def collection(
    call: Call,
    items: Sequence[Any],
    render: Callable[[Any], Any],
    *,
    read: Reader,
    order: str = "number",
    include: Callable[[Sequence[Any]], Sequence[Any]] | None = None,
) -> Answer:
    """An answer with one page of ``items``, sorted as asked (else by ``order``)."""
    sort = call.query.get("sort") or order
    key = _key(sort.removeprefix("-"), read)
    size = _size(call)
    page, more = _page(sorted(items, key=key), key, size, call, down=sort.startswith("-"))
    document: dict[str, Any] = {"data": [render(item) for item in page]}
    if include is not None and call.asked("include"):
        document["included"] = list(include(page))
    document["links"] = _links(call, sort, key(page[-1]) if more else None)
    return Answer(200, document)


def read_cursor(text: str) -> tuple[str, tuple[Any, ...]]:
    """The sort order and the last item's key in a cursor; raises ``Refused`` (400).

    Leading ``=`` and missing padding are forgiven, and a whole URL stands for its cursor: Klaviyo's
    own client sends such things.
    """
    text = text.lstrip("=")
    if text.startswith(("http://", "https://")):
        text = parse_qs(urlsplit(text).query).get("page[cursor]", [""])[0]
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        direction, sort, last = plain.split("::", 2)
        key = tuple(json.loads(last))
    except (ValueError, binascii.Error, TypeError):
        raise invalid("Invalid page cursor.", parameter="page[cursor]") from None
    if direction != "next":
        raise invalid("Invalid page cursor.", parameter="page[cursor]")
    return sort, key


def write_cursor(sort: str, key: tuple[Any, ...]) -> str:
    """The cursor of the page after the item with that key."""
    plain = f"next::{sort}::{json.dumps(key, separators=(',', ':'))}"
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def _size(call: Call) -> int:
    rule = call.operation.query.get("page[size]")
    if rule is None:
        return 200 if "page[cursor]" in call.operation.query else 10_000
    default, least, most = rule
    text = call.query.get("page[size]", str(default))
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        detail = f"Page size must be an integer between {least} and {most}."
        raise invalid(detail, parameter="page[size]")
    return int(text)


def _page(
    ordered: list[Any], key: Key, size: int, call: Call, *, down: bool
) -> tuple[list[Any], bool]:
    cursor = call.query.get("page[cursor]")
    last = read_cursor(cursor)[1] if cursor else None
    try:
        if down:
            end = len(ordered) if last is None else bisect.bisect_left(ordered, last, key=key)
            start = max(0, end - size)
            return ordered[start:end][::-1], start > 0
        start = 0 if last is None else bisect.bisect_right(ordered, last, key=key)
        return ordered[start : start + size], start + size < len(ordered)
    except TypeError:
        raise invalid("The cursor belongs to another sort.", parameter="page[cursor]") from None


def _key(field: str, read: Reader) -> Key:
    def key(item: Any) -> tuple[Any, ...]:
        value = read(item, field)
        if isinstance(value, list):
            value = value[0] if value else None
        # Whoever lacks the field comes first.
        return value is not None, "" if value is None else value, read(item, "number")

    return key


def _links(call: Call, sort: str, last: tuple[Any, ...] | None) -> dict[str, Any]:
    path = call.operation.path.replace("{id}", call.id).replace("{job_id}", call.id)
    link = f"{call.link_base}{path}"
    query = dict(call.query)
    own = f"{link}?{_encoded(query)}" if query else link
    following = None
    if last is not None:
        query["page[cursor]"] = write_cursor(sort, last)
        following = f"{link}?{_encoded(query)}"
    return {"self": own, "next": following, "prev": None}


def _encoded(query: dict[str, str]) -> str:
    return urlencode(query, quote_via=quote, safe="")
