"""Triggers: what they match, what is refused and how, and what can be said without events."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.errors import TriggerError
from destination.mapping.trigger import (
    Trigger,
    as_predicate,
    canonical,
    compile_trigger,
    never_matches,
    parse_trigger,
    segment_meaning,
    surprises,
    to_text,
)
from destination.mapping.trigger.syntax import And, Compare, Field, Find, Not, Or

ORDER = {
    "type": "track",
    "event": "Order Completed",
    "userId": "u1",
    "groupId": "g1",
    "integrations": {"All": True},
    "properties": {"total": 31.5, "products": [{"sku": "A-1"}], "and": 1, "ok": True, "é": 2},
}


@pytest.mark.parametrize(
    ("trigger", "matched"),
    [
        ('type = "track" and (event = "X" or (userId = "u1" and properties.total > 30))', True),
        ('!(type = "track")', False),
        ('!(type = "identify" or event = "X") and userId != null', True),
        ('!(contains(properties.missing, "x"))', True),
        ('!contains(properties.missing, "x")', False),
        ('properties.products[0].sku = "A-1"', True),
        ('properties.products.0.sku = "A-1"', True),
        ('properties.products\\[0\\].sku = "A-1"', True),
        ("properties.products.length = 1", True),
        ("properties.and = 1 and properties.é = 2", True),
        ('message.groupId = "g1" and message.integrations.All = true', True),
        ('starts_with(event, "Order") and !ends_with(event, "Started")', True),
        ('type = "track" and (contains(event, "X") or contains(event, "Y"))', False),
        ("properties.ok = 1", False),
        ("properties.ok != 1", False),
        ('type="track"\n\tand properties.total >= 31.5', True),
    ],
)
def test_trigger_matches(trigger: str, matched: bool) -> None:
    """Nesting, negation, paths and our own fields, with an event that has them."""
    assert compile_trigger(trigger)(ORDER) is matched


@pytest.mark.parametrize("value", [["A"], {"A": 1}, 7, True, None])
def test_value_that_is_no_text_is_none_of_several_texts(value: object) -> None:
    """Whatever stands where a text is expected, a list included, is compared and not refused."""
    for field, event in (("event", {"event": value}), ("traits.a", {"traits": {"a": value}})):
        assert compile_trigger(f'{field} = "A" or {field} = "B"')(event) is False
        assert compile_trigger(f'{field} != "A" and {field} != "B"')(event) is True


def test_texts_and_names_of_a_trigger_are_only_compared() -> None:
    """What reads like Python is a text like any other."""
    code = "' or event or '__import__(os)"
    matches = compile_trigger(f'event = "{code}" and message.n0 = "v" and message.v != "str"')
    assert matches({"event": code, "n0": "v"}) is True
    assert matches({"event": "x", "n0": "v"}) is False


@pytest.mark.parametrize("word", ["and", "or"])
def test_longest_trigger_can_be_used(word: str) -> None:
    """As many conditions as fit in 10,000 characters."""
    most = 10_000 // len(f"name < 1 {word} ")
    matches = compile_trigger(f" {word} ".join(["name < 1"] * most))
    assert matches({"name": 0}) is True
    assert matches({"name": 1}) is False


@pytest.mark.parametrize(
    ("trigger", "column", "said"),
    [
        ("", 1, "empty"),
        ("type = 'track'", 8, "double quotes"),
        ('type = "track" AND event = "X"', 16, 'write "and" in small letters'),
        ('type = "track" event = "X"', 16, 'expected "and", "or" or the end'),
        ("event = Order Completed", 15, "several words needs double quotes"),
        ("type =", 7, "expected a value"),
        ("type", 5, "expected one of ="),
        ('type = "track" and', 19, "expected a condition"),
        ('foo = "x"', 1, "there is no field"),
        ("anonymousId != null", 1, "message.anonymousId"),
        ('properties = "x"', 1, "needs a member"),
        ('type = "track"))', 15, "no opening one"),
        ('(type = "track"', 16, "closing parenthesis"),
        ('((type = "track"))', 2, "change nothing"),
        ('(type = "track" and (event = "X")) or name = "n"', 21, "change nothing"),
        ('lowercase(event) = "x"', 1, "there is no function"),
        ('contains(type, "x")', 10, "does not take type"),
        ('match(event, "a*b")', 14, "one * at its start or its end"),
        ('match(event, "ab")', 14, "one * at its start or its end"),
        ('!type = "track"', 2, "after ! a group"),
        ("properties.total > 5%", 21, "cannot follow the number"),
        ('properties.total > "abc"', 20, "expected a number"),
        ("properties.total>5", 17, "put a space before it"),
        ("properties.total >=5", 20, "a space must follow"),
        ('type = "track"and event = "X"', 15, "a space must follow a text"),
        ('event = "a', 9, "no closing quote"),
        ('type = "track"\r\n', 15, "a space must follow a text"),
        ('type = "track" || event = "X"', 16, 'write "or"'),
        ("(" * 30 + 'type = "track"' + ")" * 30, 21, "nested deeper"),
        ('type = "' + "x" * 20_000 + '"', 10_001, "at most 10,000"),
    ],
)
def test_refusal_names_column_and_remedy(trigger: str, column: int, said: str) -> None:
    """What cannot be read is refused where it stands."""
    with pytest.raises(TriggerError) as refused:
        compile_trigger(trigger)
    assert refused.value.column == column
    assert said in str(refused.value)


def test_mixed_connectors_are_refused_with_both_readings() -> None:
    """The message holds the two unambiguous forms, each of which can be used as it stands."""
    with pytest.raises(TriggerError) as refused:
        parse_trigger('type = "track" and event = "A" or event = "B"')
    message = str(refused.value)
    assert '(type = "track" and event = "A") or event = "B"' in message
    assert 'type = "track" or event = "A" or event = "B"' in message
    assert refused.value.column == 32


@pytest.mark.parametrize(
    ("trigger", "meaning"),
    [
        ('name = "a" and name = "b" or name = "c"', 'name = "a" or name = "b" or name = "c"'),
        ('name = "a" or name = "b" and name = "c"', 'name = "a" and name = "b" and name = "c"'),
        ('!(type = "track")', 'type = "track"'),
        ('foo = "bar" and type = "track"', 'type = "track"'),
        ("type = 'track'", "type = \"'track'\""),
        ('match(event, "Xrder")', 'match(event, "*rder")'),
        ('match(event, "*der*")', 'starts_with(event, "*der")'),
        ('type like "x" or type = "page"', 'type = "page"'),
        ('type like "x"', 'type = ""'),
        (
            'type = "a" and (contains(event, "b") or name = "c")',
            'type = "a" or contains(event, "b") or name = "c"',
        ),
        ('properties.product\\ 1.price > "5"', "properties.product\\ 1.price > 5"),
    ],
)
def test_rewriting_shows_what_segment_does(trigger: str, meaning: str) -> None:
    """The surprises of Segment's parser, spelled out."""
    assert segment_meaning(trigger) == meaning


@pytest.mark.parametrize(
    ("trigger", "reason"),
    [
        ('type = "Identify"', 'write "identify"'),
        ('type = "purchase"', "no event has the type"),
        ('type = "track" and type = "page"', "at once"),
        ('event = "A" and event != "A"', "asked not to be"),
        ('event = "Order" and match(event, "X*")', "asked not to be"),
        ("properties.n > 5 and properties.n < 5", "at least 5 and at most 5"),
        ("properties.n = 3 and properties.n > 4", "at least 4"),
        ('properties.n = 3 and properties.n = "3"', "a number and a text"),
        ('properties.n = null and contains(properties.n, "x")', "a text and nothing"),
        ('type = "track" and (type = "page" or type = "screen")', "at once"),
    ],
)
def test_trigger_that_no_event_can_match_is_found(trigger: str, reason: str) -> None:
    """With the reason."""
    assert reason in str(never_matches(parse_trigger(trigger)))


@pytest.mark.parametrize(
    "trigger",
    [
        'type = "track"',
        'type = "track" or type = "Track"',
        "properties.n >= 5 and properties.n <= 5",
        'event != "A" and event != "B"',
        '!(type = "Identify")',
        'event = "Order" and contains(event, "rd")',
        " and ".join(['(name = "a" or name = "b")'] * 12),
    ],
)
def test_trigger_that_may_match_is_left_alone(trigger: str) -> None:
    """No false alarm."""
    assert never_matches(parse_trigger(trigger)) is None


def test_surprising_comparisons_are_explained() -> None:
    """``null`` and booleans where they can only be texts."""
    assert "contains(event" in surprises(parse_trigger("event != null"))[0]
    assert "!(properties.v = true)" in surprises(parse_trigger("properties.v != true"))[0]
    assert surprises(parse_trigger('userId != null and properties.v = true and event = "x"')) == []


def test_canonical_form_finds_duplicates() -> None:
    """Order, repetition, spaces and needless parentheses do not count; meaning does."""
    same = ['type = "track" and event = "A"', 'event="A" and (type = "track") and event = "A"']
    assert len({canonical(parse_trigger(trigger)) for trigger in same}) == 1
    other = 'type = "track" or event = "A"'
    assert canonical(parse_trigger(other)) != canonical(parse_trigger(same[0]))


_fields = st.one_of(
    st.sampled_from([Field(("type",)), Field(("event",)), Field(("name",)), Field(("userId",))]),
    st.builds(
        lambda root, names: Field((root, *names)),
        st.sampled_from(["properties", "traits", "context", "message"]),
        st.lists(
            st.text(
                st.characters(blacklist_characters='.[]"', blacklist_categories=["Cs"]),
                min_size=1,
                max_size=4,
            ),
            min_size=1,
            max_size=3,
        ),
    ),
)
_texts = st.text(st.characters(blacklist_characters='"', blacklist_categories=["Cs"]), max_size=6)
_numbers = st.one_of(st.integers(-(10**9), 10**9), st.floats(-1e9, 1e9).map(lambda x: round(x, 6)))
_conditions = st.one_of(
    st.builds(Compare, _fields, st.sampled_from(["=", "!="]), _texts),
    st.builds(Compare, _fields, st.sampled_from(["<", "<=", ">", ">="]), _numbers),
    st.builds(
        Find,
        _fields.filter(lambda field: field.path != ("type",)),
        st.sampled_from(["contains", "starts_with", "ends_with"]),
        _texts,
        st.booleans(),
    ),
)
_triggers: st.SearchStrategy[Trigger] = st.recursive(
    _conditions,
    lambda parts: st.one_of(
        st.builds(Not, parts),
        st.builds(And, st.tuples(parts, parts)),
        st.builds(Or, st.tuples(parts, parts, parts)),
    ),
    max_leaves=8,
)


@given(_triggers)
def test_written_trigger_reads_back_as_the_same(trigger: Trigger) -> None:
    """``to_text`` and ``parse_trigger`` are inverse, up to the normal form."""
    assert canonical(parse_trigger(to_text(trigger))) == canonical(trigger)


@given(_triggers, st.dictionaries(st.sampled_from(["type", "event", "name"]), _texts))
def test_canonical_form_asks_the_same(trigger: Trigger, event: dict[str, str]) -> None:
    """Normalising changes no answer."""
    again = parse_trigger(canonical(trigger))
    assert as_predicate(again)(event) is as_predicate(trigger)(event)


@given(st.text(max_size=60) | st.from_regex(r"[a-z .=!()\"'0-9<>,\\]{0,40}", fullmatch=True))
def test_any_text_is_read_or_refused(source: str) -> None:
    """Nothing but ``TriggerError`` comes out, from our parser and from the rewriting."""
    for read in (compile_trigger, segment_meaning):
        assert 0 <= refused_at(read, source) <= len(source) + 1


def refused_at(read: Callable[[str], object], source: str) -> int:
    """The column at which ``source`` is refused, 0 if it is not."""
    try:
        read(source)
    except TriggerError as error:
        return error.column
    return 0
