"""JSON written by hand, read strictly: whatever might not mean what its author meant is refused."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable
from typing import Any, NoReturn

from destination.event import encode
from destination.mapping.problem import Place, Problem, excerpt, path_text

MAX_BYTES = 10_000_000


class _Repeated(dict[str, Any]):
    """An object that was written with a key twice."""

    keys_twice: tuple[str, ...] = ()


def read_json(text: str | bytes) -> tuple[Any, list[Problem]]:
    """The document in ``text``, and what is wrong with it; None where it cannot be read.

    Refused are keys that occur twice in an object, ``NaN`` and infinite numbers, halves of
    characters and whatever is not UTF-8, beside what is not JSON.
    """
    if len(text) > MAX_BYTES:
        return None, [Problem("/", f"the file is larger than {MAX_BYTES:,} bytes")]
    try:
        source = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        document = _DECODER.decode(source)
        encode(document)  # fails for halves of characters
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        return None, [Problem("/", f"not UTF-8: {error.reason} at {error.start}")]
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        return None, [Problem("/", f"not JSON: {error.msg} ({where})")]
    except ValueError as error:
        return None, [Problem("/", f"not JSON: {error}")]
    except RecursionError:
        return None, [Problem("/", "the JSON is nested too deep")]
    return document, list(_repetitions(document, ()))


def unknown_keys(
    tree: dict[str, Any], known: Iterable[str], place: Place, what: str
) -> list[Problem]:
    """A problem for each key of ``tree`` that is not ``known``, with the nearest that is."""
    names = list(known)
    return [
        Problem(path_text((*place, key)), f"{what} has no {excerpt(key)}; {nearest(key, names)}")
        for key in tree
        if key not in names
    ]


def nearest(word: str, known: Iterable[str]) -> str:
    """What was perhaps meant by ``word``, or what there is."""
    names = list(known)
    close = difflib.get_close_matches(word, names, 1)
    return f'did you mean "{close[0]}"?' if close else f"there are {', '.join(sorted(names))}"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    keys = [key for key, _ in pairs]
    repeated = _Repeated(pairs)
    repeated.keys_twice = tuple(sorted({key for key in keys if keys.count(key) > 1}))
    return repeated


def _constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {excerpt(digits)} is too large")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)


def _repetitions(tree: Any, place: Place) -> Iterable[Problem]:
    if isinstance(tree, _Repeated):
        for key in tree.keys_twice:
            message = "this key stands twice in its object; only the last would count"
            yield Problem(path_text((*place, key)), message)
    parts: Iterable[tuple[str, Any]] = ()
    if isinstance(tree, dict):
        parts = tree.items()
    elif isinstance(tree, list):
        parts = ((str(index), item) for index, item in enumerate(tree))
    for key, part in parts:
        yield from _repetitions(part, (*place, key))
