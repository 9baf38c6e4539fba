"""Liquid texts compiled and rendered by python-liquid, with our filters and limits."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from io import StringIO
from typing import Any, TextIO

import liquid
from liquid.builtin.expressions.primitive import Blank, Empty
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.echo_tag import EchoNode, EchoTag
from liquid.exceptions import LiquidError, LiquidSyntaxError
from liquid.filter import with_context
from liquid.undefined import Undefined
from liquid.utils import ReadOnlyChainMap

from destination.errors import MappingError
from destination.mapping.budget import NODE, Budget
from destination.mapping.liquid.filters import GROWING, PLAIN, UNSUPPORTED, Filters
from destination.mapping.missing import MISSING
from destination.mapping.problem import excerpt

# Segment switches these off; the last two mean nothing without a loop.
_DISABLED_TAGS = ("case", "for", "include", "layout", "render", "tablerow", "break", "continue")

_MARKUP = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_RESERVED = "and as blank cols contains continue else empty false for if in limit nil not null"
_RESERVED_MEMBER = re.compile(
    rf"""("[^"]*"|'[^']*')|\.({"|".join(_RESERVED.split())}|offset|or|required|reversed|true|with)\b"""
    r"(?![-?])"
)


class _Scope(liquid.RenderContext):
    """A render context without a clock: only the event and what the text assigns."""

    __slots__ = ("filters",)

    def __init__(self, template: liquid.BoundTemplate, **options: Any) -> None:
        super().__init__(template, **options)
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)

    def bind(self, filters: Filters) -> None:
        """Use ``filters`` in this rendering."""
        self.filters = filters

    def show(self, value: Any) -> str:
        """``value`` as text, charged."""
        return str(self.filters.call("append", _plain(value), ("",), {}))


class _ShownNode(OutputNode):
    """``{{ value }}`` with JavaScript's forms of numbers and objects."""

    __slots__ = ()

    def render_to_output(self, context: liquid.RenderContext, buffer: TextIO) -> int:
        assert isinstance(context, _Scope)
        return buffer.write(context.show(self.expression.evaluate(context)))


class _ShownEchoNode(_ShownNode, EchoNode):
    __slots__ = ()


class _Output(Output):
    node_class = _ShownNode


class _Echo(EchoTag):
    node_class = _ShownEchoNode


class _Environment(liquid.Environment):
    string_sequences = True  # a text has characters: name[0]


@cache
def _environment() -> liquid.Environment:
    environment = _Environment(strict_filters=False)
    for name in _DISABLED_TAGS:
        environment.tags.pop(name, None)
    environment.add_tag(_Output)
    environment.add_tag(_Echo)
    environment.filters.clear()
    for name in (*PLAIN, *GROWING):
        environment.add_filter(name, with_context(partial(_filter, name)))
    return environment


def _filter(name: str, value: Any, *args: Any, context: _Scope, **named: Any) -> Any:
    if name == "json" and (isinstance(value, Undefined) or value is MISSING):
        return ""
    plain = tuple(map(_plain, args))
    try:
        return context.filters.call(
            name, _plain(value), plain, {key: _plain(each) for key, each in named.items()}
        )
    except (ValueError, OverflowError) as error:
        raise LiquidError(f"{name}: {error}", token=None) from error


def _plain(value: Any) -> Any:
    if isinstance(value, Undefined) or value is MISSING:
        return None
    return "" if isinstance(value, (Empty, Blank)) else value


def compile_text(text: str, at: str) -> Callable[[Any, Budget], str]:
    """``render(payload, budget)`` for the Liquid ``text``.

    Raises ``ValueError`` when it cannot be parsed or uses a filter that is switched off; ``render``
    raises ``MappingError`` for the place ``at``.
    """
    try:
        template = _environment().from_string(_with_reserved_members(text))
    except LiquidError as error:
        raise ValueError(f"{_said(error)} in {excerpt(text)}") from error
    used = sorted(UNSUPPORTED.intersection(template.filter_names()))
    if used:
        raise ValueError(f'the filter "{used[0]}" is not available')

    def render(payload: Any, budget: Budget) -> str:
        budget.spend(NODE * len(text), at)
        scope = _Scope(template, globals=payload if isinstance(payload, Mapping) else {})
        scope.bind(Filters(budget, at))
        buffer = StringIO()
        try:
            template.render_with_context(scope, buffer)
        except MappingError:
            raise
        except LiquidError as error:
            raise MappingError(at, _said(error)) from error
        except Exception as error:  # python-liquid's own checks are not complete
            raise MappingError(at, f"{type(error).__name__}: {error}") from error
        return buffer.getvalue()

    return render


def _said(error: LiquidError) -> str:
    kind = "cannot be read as Liquid" if isinstance(error, LiquidSyntaxError) else "Liquid failed"
    return f"{kind}: {excerpt(error.args[0], 120)}"


def _with_reserved_members(text: str) -> str:
    """``text`` with members that are named like a word of Liquid, ``a.empty``, written
    ``a["empty"]``, which python-liquid reads and Liquid means by both.
    """
    if "raw" in text:
        return text
    return _MARKUP.sub(
        lambda markup: _RESERVED_MEMBER.sub(lambda match: match[1] or f'["{match[2]}"]', markup[0]),
        text,
    )
