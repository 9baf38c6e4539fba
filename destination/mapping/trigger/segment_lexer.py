"""A trigger as Segment's own lexer takes it apart, with that lexer's habits."""

from __future__ import annotations

import re
from collections import deque

from destination.errors import TriggerError
from destination.mapping.problem import excerpt

Token = tuple[str, str]
"""Kind and text. Kinds: ``word number text operator connector null end`` and the marks."""

_LETTER = re.compile(r"[A-Za-z]")
_NAME = re.compile(r"[A-Za-z0-9_\\-]")
_SPACES = " \t\n"
_ENDS = frozenset(" \t\n,])")
_MARKS = {".": "dot", "[": "bracket", "]": "bracket", ",": "comma", "(": "(", ")": ")"}
_KEYWORDS = {"a": "and", "o": "or", "n": "null"}


def segment_tokens(source: str) -> deque[Token]:
    """The tokens of ``source``, names with dots between them as one.

    Raises ``TriggerError`` where Segment's lexer fails.
    """
    return _joined_names(_Lexer(source).tokens())


class _Lexer:
    """Segment's lexer, with its habits."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0

    def peek(self) -> str:
        return self.source[self.at : self.at + 1]

    def tokens(self) -> list[Token]:
        found: list[Token] = []
        while self.at < len(self.source):
            character = self.peek()
            self.at += 1
            if character not in _SPACES:
                found.append(self.token(character))
        return [*found, ("end", "eos")]

    def token(self, character: str) -> Token:
        if character == "!" and (_LETTER.match(self.peek()) or self.peek() == "("):
            return ("operator", "!")
        if character in "!=<>":
            return self.operator(character)
        if _LETTER.match(character) or character in "\\_":
            return self.word(character)
        if character.isascii() and (character.isdigit() or character in "+-"):
            return self.number(character)
        if character in "\"'":
            return self.text(character)
        if character in _MARKS:
            return (_MARKS[character], character)
        return self.fail(f"{excerpt(character)} has no meaning to Segment")

    def fail(self, message: str) -> Token:
        raise TriggerError(max(self.at, 1), f"{message}: it fails there")

    def accept(self, expected: str) -> bool:
        """Go past ``expected`` if a separator follows. Near the end of the source Segment's lexer
        forgets to go back.
        """
        start = self.at
        for _ in expected:
            if self.at == len(self.source):
                return False
            self.at += 1
            if self.source[self.at - 1] in _ENDS:
                break
        if self.source[start : self.at] == expected and self.is_separated():
            return True
        self.at = start
        return False

    def is_separated(self) -> bool:
        return not self.peek() or self.peek() in _ENDS

    def operator(self, character: str) -> Token:
        if character == "=":
            return ("operator", "=")
        if self.accept("="):
            return ("operator", character + "=")
        if character == "!":
            return self.fail("! must be followed by a name, a parenthesis or = and a space")
        return ("operator", character)

    def word(self, character: str) -> Token:
        keyword = _KEYWORDS.get(character)
        if keyword and self.accept(keyword[1:]):
            return ("null" if keyword == "null" else "connector", keyword)
        name = ""
        while True:
            if character == "\\":
                if not self.peek():
                    return self.fail("nothing follows the backslash")
                character = self.take()
            name += character
            if not _NAME.match(self.peek()):
                break
            character = self.take()
        if self.is_separated() or self.peek() in ".(=!":
            return ("word", name)
        self.at += 1
        return self.fail(f"{excerpt(self.source[self.at - 1])} cannot follow a name")

    def take(self) -> str:
        self.at += 1
        return self.source[self.at - 1]

    def number(self, character: str) -> Token:
        digits = character
        points = 0
        while self.peek() == "." or (self.peek().isascii() and self.peek().isdigit()):
            digits += self.take()
            if digits[-1] == ".":
                points += 1
                if self.is_separated() or points > 1:
                    return self.fail("a number has one point with a digit behind it")
        return ("number", digits)

    def text(self, quote: str) -> Token:
        end = self.source.find(quote, self.at)
        if end < 0:
            return self.fail("the text has no closing quote")
        text = self.source[self.at : end]
        self.at = end
        self.accept(quote)  # if nothing separates, this quote opens the next text
        return ("text", f"{quote}{text}{quote}")


def _joined_names(tokens: list[Token]) -> deque[Token]:
    """Names with dots between them as one name."""
    found: deque[Token] = deque()
    waiting = deque(tokens)
    while waiting:
        kind, text = waiting.popleft()
        if kind == "dot" and found and found[-1][0] == "word" and waiting[0][0] == "word":
            found[-1] = ("word", f"{found[-1][1]}.{waiting.popleft()[1]}")
        else:
            found.append((kind, text))
    return found
