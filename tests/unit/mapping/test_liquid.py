"""Liquid: liquidjs' results, no clock, no loops, no growth."""

from __future__ import annotations

from typing import Any

import pytest

from destination.errors import MappingError
from destination.mapping import compile_mapping
from destination.mapping.liquid.filters import UNSUPPORTED
from destination.mapping.liquid.html import without_tags

EVENT = {
    "name": "SpongeBob",
    "empty": "x",
    "n": 7,
    "whole": 2.0,
    "price": 19.99,
    "list": ["b", None, "a"],
    "o": {"empty": "y", "a": 1},
    "people": [{"n": 1, "ok": True}, {"n": 2}],
    "at": "2024-03-05T23:20:30+01:00",
    "html": "<p>a<br>b</p><script>x<y</script><!-- c > d -->e < f",
}


def render(text: str) -> Any:
    """What ``text`` gives for ``EVENT``."""
    return compile_mapping({"@liquid": text})(EVENT)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{{ whole }} {{ price | round: 1 }} {{ price | round }}", "2 20 20"),
        ("{{ n | divided_by: 2 }} {{ n | modulo: 4 }} {{ n | plus: '3' | minus: 1 }}", "3.5 3 9"),
        ("{{ o }} {{ list }} {{ o | json }}", '[object Object] ba {"empty":"y","a":1}'),
        ("{{ o.empty }}{% if o.empty == 'y' %}!{% endif %} {{ 'a.empty' }}", "y! a.empty"),
        ("{{ '<a href=\"b\">' | escape }} {{ '&lt;&' | escape_once }}", "&lt;a href=&#34;b&#34;&gt; &lt;&amp;"),
        ("{{ 'a,b,,' | split: ',' | size }} {{ 'abc' | replace: '', '-' }}", "2 a-b-c"),
        ("{{ list | join: '+' }} {{ list | compact | join: '+' }} {{ list | first }}", "b++a b+a b"),
        ("{{ people | where: 'ok' | size }} {{ people | sum: 'n' }}", "1 3"),
        ("{{ name | truncate: 6 }} {{ 'a b c' | truncatewords: 2 }}", "Spo... a b..."),
        ("{{ name | slice: -3, 2 }} {{ name | slice: 0 }}", "Bo S"),
        ("{{ name | replace_last: 'b', 'B' }} {{ name | remove_first: 'o' }}", "SpongeBoB SpngeBob"),
        ("{{ 'a b&c' | url_encode }} {{ 'a%20b+c' | url_decode }}", "a+b%26c a b c"),
        ("{{ 'é' | base64_encode }} {{ 'w6k=' | base64_decode }}", "w6k= é"),
        ("{{ at | date: '%Y-%m-%d %H:%M %z' }}", "2024-03-05 22:20 +0000"),
        ("{{ 0 | date: '%A %-d %b %y %j %-I%p %e %^a' }}", "Thursday 1 Jan 70 001 12AM  1 THU"),
        ("{{ 'soon' | date: '%Y' }} {{ missing | date: '%Y' }}", "soon "),
        ("{{ html | strip_html }}", "ab d -->e < f"),
        ("{{ missing | default: 'd' }} {{ false | default: 'd', allow_false: true }}", "d false"),
        ("{{ name | no_such_filter }}", "SpongeBob"),
        ("{{ now }}|{{ today }}", "|"),
        ("{{ (1..3) | join }} {{ (1..3) }} {{ name[0] }} {{ '😀' | size }}", "1 2 3 123 S 2"),
        ("{{ empty_literal | json }}|{{ empty | size }} {{ blank | default: 'd' }}", "|0 d"),
        ("{{ -2.5 | round }} {{ -2.5 | modulo: 3 }} {{ 'a' | split | join: '-' }}", "-3 0.5 a"),
        ("{% echo whole %}{% assign x = 1.0 %}{{ x }}{% capture y %}{{ n }}{% endcapture %}{{ y }}", "217"),
    ],
)  # fmt: skip
def test_liquid_gives(text: str, result: str) -> None:
    """Numbers, objects and filters as in liquidjs."""
    assert render(text) == result


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ 'now' | date: '%Y' }}", "not available"),
        ("{{ n | divided_by: 0 }}", "cannot divide by 0"),
        ("{{ at | date: '%Q' }}", "not a letter"),
        ("{{ n | truncate: 1, 2, 3, 4 }}", "truncate"),
        ("{% if n > 'a' %}{% endif %}", "Liquid failed"),
        ("{% if %}x", "cannot be read as Liquid"),
    ],
)
def test_liquid_fails_with_the_reason(text: str, said: str) -> None:
    """As a ``MappingError`` at the directive."""
    with pytest.raises(MappingError, match=said) as failed:
        render(text)
    assert failed.value.path == "/@liquid"


@pytest.mark.parametrize("name", sorted(UNSUPPORTED))
def test_filter_that_is_switched_off_is_refused(name: str) -> None:
    """Not passed through like one that nobody knows."""
    with pytest.raises(MappingError, match=f'"{name}" is not available'):
        render(f"{{{{ list | {name} }}}}")


@pytest.mark.parametrize(
    "text",
    [
        "{% assign x = name %}" + "{% assign x = x | append: x %}" * 30,
        "{{ long | replace: 'x', long }}",
        "{{ long | split: '' | join: long }}",
        "{{ (1..99999999) | join }}" + "{{ long }}" * 90,
    ],
)
def test_liquid_cannot_grow_without_bound(text: str) -> None:
    """Doubling, replacing and joining end at the budget."""
    with pytest.raises(MappingError, match="too expensive"):
        compile_mapping({"@liquid": text})({"name": "x" * 100, "long": "x" * 200_000})


def test_tags_are_removed_in_one_pass() -> None:
    """Texts that make a backtracking search slow take no time."""
    for text in ("<script" * 50_000, "<\n" * 50_000 + ">", "<!--" * 50_000, "<" * 100_000):
        assert len(without_tags(text)) <= len(text)
