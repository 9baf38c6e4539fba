"""The text of a trigger as tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from destination.errors import TriggerError
from destination.mapping.problem import excerpt

MAX_LENGTH = 10_000
"""Characters of one trigger."""

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\n]+)
  | (?P<word>(?:[^\W\d]|\\.)(?:[\w-]|\\.)*(?:\.(?:[\w-]|\\.)+|\[[0-9]+\])*)
  | (?P<number>[+-]?[0-9]+(?:\.[0-9]+)?)
  | "(?P<text>[^"]*)"
  | (?P<operator>!=|<=|>=|[=<>])
  | (?P<mark>[!(),])
    """,
    re.VERBOSE | re.DOTALL,
)
_SPLIT = re.compile(r"[.\[\]]+")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_KEYWORDS = frozenset({"and", "or", "null"})
_ENDS = frozenset(" \t\n,)")

_HINTS = {
    "'": 'write texts in double quotes: "text"',
    "\r": "a carriage return is no white space here: use line feeds alone",
    "&": 'write "and"',
    "|": 'write "or"',
    ".": "a name starts with a letter, a number with a digit: 0.5",
    "[": "conditions are grouped with parentheses; a list has no place in a trigger",
    ";": 'conditions are joined with "and" or "or"',
}


@dataclass(frozen=True, slots=True)
class Token:
    """One token.

    ``kind`` is ``word``, ``number``, ``text``, ``operator``, ``end``, or the mark or keyword
    itself: ``(``, ``)``, ``,``, ``!``, ``and``, ``or``, ``null``. ``text`` is its value, of a word
    with its escapes undone; ``column`` counts from 1.
    """

    kind: str
    text: str
    column: int

    @property
    def path(self) -> tuple[str, ...]:
        """The parts of a word: dots and brackets separate, escaped or not, as at Segment."""
        return tuple(part for part in _SPLIT.split(self.text) if part)

    def __str__(self) -> str:
        if self.kind == "end":
            return "the end"
        return f'"{self.text}"' if self.kind == "text" else excerpt(self.text)


def tokens(source: str) -> Iterator[Token]:
    """The tokens of ``source`` and an ``end``. Raises ``TriggerError``."""
    if len(source) > MAX_LENGTH:
        raise TriggerError(MAX_LENGTH + 1, f"a trigger has at most {MAX_LENGTH:,} characters")
    at = 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if not match:
            _refuse(source, at)
        kind, found = str(match.lastgroup), match[str(match.lastgroup)]
        at = match.end()
        if kind != "space":
            _check_end(source, kind, found, at)
            yield _token(kind, found, match.start() + 1)
    yield Token("end", "", len(source) + 1)


def _token(kind: str, found: str, column: int) -> Token:
    if kind == "mark" or (kind == "word" and found in _KEYWORDS):
        return Token(found, found, column)
    return Token(kind, _ESCAPE.sub(r"\1", found) if kind == "word" else found, column)


def _check_end(source: str, kind: str, found: str, at: int) -> None:
    """Refuse what runs into the next token: Segment would silently read it as something else."""
    following = source[at : at + 1]
    if not following:
        return
    if kind == "word" and following not in _ENDS and following not in "=!(":
        hint = "put a space before it" if following in "<>" else "escape it as in a\\$b"
        raise TriggerError(at + 1, f"{excerpt(following)} cannot follow a name; {hint}")
    if kind == "number" and following not in _ENDS:
        raise TriggerError(at + 1, f"{excerpt(following)} cannot follow the number {found}")
    if kind == "text" and following not in _ENDS:
        message = 'a space must follow a text; a text cannot hold a double quote, nor \\"'
        raise TriggerError(at + 1, message)
    if kind == "operator" and len(found) == 2 and following not in _ENDS:
        raise TriggerError(at + 1, f"a space must follow {found}")


def _refuse(source: str, at: int) -> NoReturn:
    character = source[at]
    if character == '"':
        raise TriggerError(at + 1, "this text has no closing quote")
    hint = _HINTS.get(character, "texts need double quotes")
    raise TriggerError(at + 1, f"{excerpt(character)} cannot stand here; {hint}")
