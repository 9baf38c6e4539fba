"""Liquid's ``strip_html`` filter."""

from __future__ import annotations

from collections.abc import Callable


def without_tags(text: str) -> str:
    """``text`` without HTML tags, comments, scripts and styles, in one pass."""
    parts: list[str] = []
    done = 0
    nearest: dict[str, int] = {}  # where each closing was found last, so that none is sought twice

    def closing(mark: str, start: int) -> int:
        if nearest.get(mark, -1) < start:
            found = text.find(mark, start)
            nearest[mark] = found if found >= 0 else len(text)
        return nearest[mark]

    while (start := text.find("<", done)) >= 0:
        end = _end_of_tag(text, start, closing)
        parts.append(text[done : start if end else start + 1])
        done = end or start + 1
    return "".join((*parts, text[done:]))


def _end_of_tag(text: str, start: int, closing: Callable[[str, int], int]) -> int:
    """Where the tag at ``start`` ends, 0 if there is none."""
    for opening, mark in (("<script", "</script>"), ("<style", "</style>")):
        if text.startswith(opening, start) and closing(mark, start) < len(text):
            return closing(mark, start) + len(mark)
    end = closing(">", start)
    if end < min(len(text), closing("\n", start)):
        return end + 1
    if text.startswith("<!--", start) and closing("-->", start + 4) < len(text):
        return closing("-->", start + 4) + 3
    return 0
