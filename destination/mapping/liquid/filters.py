"""Liquid's filters, with the results of liquidjs.

Every function takes plain JSON values, a missing one as None. ``Filters`` binds the budget of the
event, so that no chain of filters can grow without bound.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

from destination.fields.numbers import number_text, text_number
from destination.mapping.budget import NODE, Budget, deeper
from destination.mapping.javascript import is_number, text_length
from destination.mapping.liquid.dates import formatted
from destination.mapping.liquid.html import without_tags
from destination.mapping.missing import MISSING
from destination.mapping.text_form import json_of

_EXACT = 2**53
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;"}
_ESCAPES = str.maketrans(_ENTITIES)
_UNESCAPE = re.compile("|".join(_ENTITIES.values()))
_UNESCAPED = {entity: character for character, entity in _ENTITIES.items()}


def shown(value: Any) -> str:
    """``value`` as ``{{ value }}`` shows it; lists without separators, as liquidjs does."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_number(value):
        return number_text(value)
    if isinstance(value, list):
        return "".join(map(shown, value))
    return value if isinstance(value, str) else "[object Object]"


def number(value: Any) -> float:
    """``value`` as a number, 0 where it is none."""
    if isinstance(value, str):
        value = text_number(value)
    if not is_number(value) or value != value:  # noqa: PLR0124  NaN
        return int(value) if isinstance(value, bool) else 0
    return value if isinstance(value, float) or abs(value) <= _EXACT else float(value)


def _divided(value: Any, by: Any) -> float:
    if not number(by):
        raise ValueError("cannot divide by 0")
    return number(value) / number(by)


def _modulo(value: Any, by: Any) -> float:
    if not number(by):
        raise ValueError("cannot divide by 0")
    return number(value) % number(by)


def _round(value: Any, digits: Any = 0) -> float:
    factor = 10.0 ** max(min(int(number(digits)), 20), -20)
    return math.copysign(math.floor(abs(number(value)) * factor + 0.5) / factor, number(value))


def _default(value: Any, instead: Any = "", *, allow_false: bool = False) -> Any:
    if isinstance(value, (str, list)):
        return value if len(value) else instead
    if value is False and allow_false:
        return False
    return instead if value is None or value is False else value


def _truncate(value: Any, most: Any = 50, end: Any = "...") -> str:
    text, most, end = shown(value), int(number(most)), shown(end)
    return text if len(text) <= most else text[: max(most - len(end), 0)] + end


def _truncate_words(value: Any, most: Any = 15, end: Any = "...") -> str:
    words, most = re.split(r"\s+", shown(value)), max(int(number(most)), 1)
    return " ".join(words[:most]) + (shown(end) if len(words) >= most else "")


def _slice(value: Any, start: Any, length: Any = 1) -> Any:
    if value is None:
        return []
    whole = value if isinstance(value, list) else shown(value)
    first = int(number(start))
    first = first + len(whole) if first < 0 else first
    return whole[first : first + int(number(length))]


def _replace_last(value: Any, old: Any, new: Any) -> str:
    before, found, after = shown(value).rpartition(shown(old)) if shown(old) else ("", "", "")
    return before + shown(new) + after if found else shown(value)


def _unescape(text: str) -> str:
    return _UNESCAPE.sub(lambda match: _UNESCAPED[match[0]], text)


def _text_size(value: Any) -> int:
    return text_length(value) if isinstance(value, str) else 0


def _edge(value: Any, index: int) -> Any:
    return value[index] if isinstance(value, (list, str)) and len(value) else ""


def _where(items: Any, name: Any, wanted: Any = None) -> list[Any]:
    def matches(item: Any) -> bool:
        found = item.get(shown(name)) if isinstance(item, dict) else None
        if wanted is None:
            return found is not None and found is not False
        return type(found) is type(wanted) and bool(found == wanted)

    return [item for item in _items(items) if matches(item)]


def _sum(items: Any, name: Any = None) -> float:
    values = _items(items)
    if name is not None:
        values = [item.get(shown(name)) if isinstance(item, dict) else None for item in values]
    return sum(map(number, values))


def _items(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


PLAIN: dict[str, Callable[..., Any]] = {
    "abs": lambda value: abs(number(value)),
    "at_least": lambda value, other: max(number(value), number(other)),
    "at_most": lambda value, other: min(number(value), number(other)),
    "ceil": lambda value: math.ceil(number(value)),
    "floor": lambda value: math.floor(number(value)),
    "round": _round,
    "plus": lambda value, other: number(value) + number(other),
    "minus": lambda value, other: number(value) - number(other),
    "times": lambda value, other: number(value) * number(other),
    "divided_by": _divided,
    "modulo": _modulo,
    "append": lambda value, other: shown(value) + shown(other),
    "prepend": lambda value, other: shown(other) + shown(value),
    "capitalize": lambda value: shown(value)[:1].upper() + shown(value)[1:].lower(),
    "downcase": lambda value: shown(value).lower(),
    "upcase": lambda value: shown(value).upper(),
    "strip": lambda value: shown(value).strip(),
    "lstrip": lambda value: shown(value).lstrip(),
    "rstrip": lambda value: shown(value).rstrip(),
    "strip_newlines": lambda value: re.sub(r"\r?\n", "", shown(value)),
    "strip_html": lambda value: without_tags(shown(value)),
    "normalize_whitespace": lambda value: re.sub(r"\s+", " ", shown(value)),
    "remove": lambda value, old: shown(value).replace(shown(old), ""),
    "remove_first": lambda value, old: shown(value).replace(shown(old), "", 1),
    "remove_last": lambda value, old: _replace_last(value, old, ""),
    "replace_first": lambda value, old, new="": shown(value).replace(shown(old), shown(new), 1),
    "replace_last": lambda value, old, new="": _replace_last(value, old, new),
    "truncate": _truncate,
    "truncatewords": _truncate_words,
    "slice": _slice,
    "escape": lambda value: shown(value).translate(_ESCAPES),
    "xml_escape": lambda value: shown(value).translate(_ESCAPES),
    "escape_once": lambda value: _unescape(shown(value)).translate(_ESCAPES),
    "url_encode": lambda value: quote(shown(value), safe="-_.!~*'()").replace("%20", "+"),
    "url_decode": lambda value: unquote(shown(value)).replace("+", " "),
    "base64_encode": lambda value: base64.b64encode(shown(value).encode()).decode(),
    "base64_decode": lambda value: base64.b64decode(shown(value)).decode(errors="replace"),
    "date": formatted,
    "default": _default,
    "size": lambda value: len(value) if isinstance(value, list) else _text_size(value),
    "first": lambda value: _edge(value, 0),
    "last": lambda value: _edge(value, -1),
    "compact": lambda value: [item for item in _items(value) if item is not None],
    "where": _where,
    "sum": _sum,
}
"""Filters whose result is at most a few times as large as what they are given."""

UNSUPPORTED = frozenset(
    {
        "array_to_sentence_string",
        "cgi_escape",
        "concat",
        "date_to_long_string",
        "date_to_rfc822",
        "date_to_string",
        "date_to_xmlschema",
        "find",
        "find_exp",
        "find_index",
        "find_index_exp",
        "group_by",
        "group_by_exp",
        "has",
        "has_exp",
        "hmac_sha1",
        "hmac_sha256",
        "inspect",
        "jsonify",
        "map",
        "newline_to_br",
        "number_of_words",
        "pop",
        "push",
        "raw",
        "reject",
        "reject_exp",
        "reverse",
        "sample",
        "sha1",
        "sha256",
        "shift",
        "shuffle",
        "slugify",
        "sort",
        "sort_natural",
        "to_integer",
        "type",
        "uniq",
        "unshift",
        "uri_escape",
        "where_exp",
    }
)
"""Filters of liquidjs that Segment switches off or that we do not have: a text that uses one is
refused. Any other unknown filter passes its value through, as at Segment."""


class Filters:
    """The filters as called for one event: arguments made plain, results charged."""

    def __init__(self, budget: Budget, at: str) -> None:
        self._budget = budget
        self._at = at

    def call(self, name: str, value: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """What the filter ``name`` makes of ``value``. Raises ``ValueError`` or ``TypeError`` for
        arguments that it cannot take, ``MappingError`` when the result is too large.
        """
        function = PLAIN.get(name) or getattr(self, f"_{name}", None)
        if function is None:
            return value
        value = self._listed(value)
        self._charge(value)
        result = function(value, *map(self._listed, args), **named)
        self._charge(result)
        return result

    def _listed(self, value: Any) -> Any:
        """A range such as ``(1..3)`` as the list of its numbers."""
        if not isinstance(value, range):
            return value
        self._budget.spend(NODE * (max(value.stop - value.start, 0)), self._at)
        return list(value)

    def _charge(self, value: Any) -> None:
        waiting = [(value, 0)]
        while waiting:
            part, depth = waiting.pop()
            self._budget.spend(NODE + (len(part) if isinstance(part, str) else 0), self._at)
            if isinstance(part, list):
                depth = deeper(depth, self._at)
                waiting.extend((item, depth) for item in part)

    def _replace(self, value: Any, old: Any, new: Any = "") -> str:
        text, old, new = shown(value), shown(old), shown(new)
        times = text.count(old) if old else len(text)
        self._budget.spend(times * len(new), self._at)
        return text.replace(old, new) if old else new.join(text)

    def _join(self, value: Any, separator: Any = " ") -> str:
        texts = [shown(item) for item in _items(value)]
        self._budget.spend(len(texts) * len(shown(separator)), self._at)
        return shown(separator).join(texts)

    def _split(self, value: Any, separator: Any = MISSING) -> list[str]:
        if separator is MISSING:
            return [shown(value)]
        text, mark = shown(value), shown(separator)
        self._budget.spend(NODE * (text.count(mark) if mark else len(text)), self._at)
        pieces = text.split(mark) if mark else list(text)
        while pieces and not pieces[-1]:
            pieces.pop()
        return pieces

    def _json(self, value: Any) -> str:
        return json_of(value, self._budget, self._at)


GROWING = frozenset({"replace", "join", "split", "json"})
"""Filters of ``Filters`` itself: their result can be much larger than what they are given."""
