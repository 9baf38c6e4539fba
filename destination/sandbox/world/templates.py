"""Mail templates, and their rendering in the manner of Django."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

HTML_EDITORS = ("CODE", "USER_DRAGGABLE")
EDITORS = (*HTML_EDITORS, "SYSTEM_DRAGGABLE")
TOKEN = re.compile(r"(\{\{.*?\}\}|\{%.*?%\})", re.DOTALL)
UNSUBSCRIBE = re.compile(r"\{%\s*unsubscribe(_link)?\b.*?%\}", re.DOTALL)
LINKS = ("unsubscribe", "unsubscribe_link", "manage_preferences", "manage_preferences_link")
LINK = "https://manage.kmail-lists.com/subscriptions/unsubscribe"


@dataclass(slots=True)
class Template:
    """One template. ``reusable`` is false for the copy that a campaign message owns."""

    id: str
    number: int
    name: str
    editor_type: str
    created: float
    updated: float
    html: str = ""
    text: str | None = None
    amp: str | None = None
    definition: Any = None
    reusable: bool = True


def may_be_sent(template: Template) -> bool:
    """Whether it has the unsubscribe link that a campaign needs; a built one always does."""
    return template.editor_type not in HTML_EDITORS or bool(UNSUBSCRIBE.search(template.html))


def render(source: str, context: Mapping[str, Any]) -> str:
    """Fill in a template: variables with filters, ``if``/``else``, ``for``, unsubscribe links.

    A variable without a value is false and gives nothing. Raises ``ValueError`` for a block that is
    never closed or an end without a beginning.
    """
    tokens = iter(TOKEN.split(source))
    text, stop = _block(tokens, context, show=True)
    if stop:
        raise ValueError(f"unexpected {{% {stop} %}}")
    return text


def _block(tokens: Iterator[str], context: Mapping[str, Any], *, show: bool) -> tuple[str, str]:
    """The text up to a tag that is not for this level, and that tag."""
    parts: list[str] = []
    for token in tokens:
        if token.startswith("{{"):
            parts.append(_value_text(token[2:-2], context) if show else "")
        elif not token.startswith("{%"):
            parts.append(token if show else "")
        else:
            words = token[2:-2].split()
            name = words[0] if words else ""
            if name in {"endif", "endfor", "else"}:
                return "".join(parts), name
            parts.append(_tag(name, words[1:], tokens, context, show=show))
    return "".join(parts), ""


def _tag(
    name: str, words: list[str], tokens: Iterator[str], context: Mapping[str, Any], *, show: bool
) -> str:
    if name == "if":
        return _if(words, tokens, context, show=show)
    if name == "for":
        return _for(words, tokens, context, show=show)
    if name in LINKS and show:
        return LINK if name.endswith("link") else f'<a href="{LINK}">Unsubscribe</a>'
    return ""


def _if(words: list[str], tokens: Iterator[str], context: Mapping[str, Any], *, show: bool) -> str:
    negated = words[:1] == ["not"]
    holds = bool(_value(" ".join(words[negated:]), context)) is not negated
    text, stop = _block(tokens, context, show=show and holds)
    other = ""
    if stop == "else":
        other, stop = _block(tokens, context, show=show and not holds)
    if stop != "endif":
        raise ValueError("{% if %} is never closed")
    return text + other


def _for(words: list[str], tokens: Iterator[str], context: Mapping[str, Any], *, show: bool) -> str:
    if len(words) != 3 or words[1] != "in":
        raise ValueError(f"{{% for {' '.join(words)[:60]} %}}: write 'for item in list'")
    inner: list[str] = []
    depth = 1
    for token in tokens:
        tag = token[2:-2].split()[:1] if token.startswith("{%") else []
        depth += (tag == ["for"]) - (tag == ["endfor"])
        if depth == 0:
            break
        inner.append(token)
    else:
        raise ValueError("{% for %} is never closed")
    items = _value(words[2], context) if show else []
    return "".join(
        _block(iter(inner), {**context, words[0]: item}, show=True)[0]
        for item in (items if isinstance(items, list) else [])
    )


def _value_text(expression: str, context: Mapping[str, Any]) -> str:
    value = _value(expression, context)
    return "" if value is None else escape(str(value), quote=False)


def _value(expression: str, context: Mapping[str, Any]) -> Any:
    path, *filters = (part.strip() for part in expression.split("|"))
    value: Any = context
    for step in path.split("."):
        if isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    for each in filters:
        name, _, argument = each.partition(":")
        value = _filtered(value, name.strip(), argument.strip().strip("'\""))
    return value


def _filtered(value: Any, name: str, argument: str) -> Any:
    if name == "default":
        return value or argument
    if value is None:
        return None
    changes = {"upper": str.upper, "lower": str.lower, "title": str.title}
    return changes[name](str(value)) if name in changes else value
