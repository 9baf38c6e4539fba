"""The index finds exactly the mappings that their triggers find."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.klaviyo import KLAVIYO
from destination.mapping.file import Mapping, read_mapping_file
from destination.mapping.index import Index, wanted
from destination.mapping.trigger import parse_trigger
from destination.pipeline import matching

KINDS = ("track", "identify", "page", "other")
NAMES = ("Bought", "Seen", "other")
CONDITIONS = st.sampled_from(
    [f'type = "{kind}"' for kind in KINDS]
    + [f'event = "{name}"' for name in NAMES]
    + ['type != "track"', 'event != "Bought"', 'contains(event, "o")', 'message.event = "Seen"']
    + ['context.x = "1"', "userId = null", 'message.type = "page"']
)


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Conditions joined, and negated."""
    some = st.lists(inner, min_size=2, max_size=3)
    return (
        some.map(lambda parts: "(" + " and ".join(parts) + ")")
        | some.map(lambda parts: "(" + " or ".join(parts) + ")")
        | inner.map(lambda part: f"!({part})")
    )


TRIGGERS = st.recursive(CONDITIONS, compound, max_leaves=5)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(KINDS),
        "event": st.sampled_from((*NAMES, "", None, 7, ["Bought"], {"a": 1})),
        "userId": st.just("u"),
        "context": st.just({"x": "1"}),
    },
)


def mappings(triggers: list[str], enabled: list[bool] | None = None) -> list[Mapping]:
    """Mappings with these triggers."""
    entries = [
        {
            "name": f"m{number}",
            "action": "upsertProfile",
            "trigger": trigger,
            "enabled": enabled[number] if enabled else True,
            "fields": {"email": "a@b.example"},
        }
        for number, trigger in enumerate(triggers)
    ]
    file = json.dumps({"name": "f", "mappings": entries})
    return read_mapping_file(file, "f.json", KLAVIYO.actions)[0]


@given(st.lists(TRIGGERS, min_size=1, max_size=5), st.lists(EVENTS, min_size=1, max_size=5))
def test_it_finds_what_asking_every_trigger_finds(
    triggers: list[str], events: list[dict[str, Any]]
) -> None:
    """Whatever the triggers and events, and in the same order."""
    some = mappings(triggers)
    index = Index(some)
    for event in events:
        assert index.matching(event) == matching(event, some)


def test_disabled_mappings_are_never_found() -> None:
    """They want nothing."""
    some = mappings(['type = "page"', 'type = "page"'], [False, True])
    assert [each.name for each in Index(some).matching({"type": "page"})] == ["f/m1"]


@pytest.mark.parametrize(
    ("trigger", "pairs"),
    [
        ('type = "track"', {("track", None)}),
        ('type = "track" and event = "A"', {("track", "A")}),
        ('type = "track" and (event = "A" or event = "B")', {("track", "A"), ("track", "B")}),
        ('type = "track" and event != "A"', {("track", None)}),
        ('!(type = "track")', {(None, None)}),
        ('type = "page" or userId != null', {("page", None), (None, None)}),
    ],
)
def test_a_trigger_says_which_events_it_is_about(
    trigger: str, pairs: set[tuple[str | None, str | None]]
) -> None:
    """Type and name where every way of matching fixes them."""
    assert wanted(parse_trigger(trigger)) == pairs


def test_triggers_about_other_events_are_not_asked() -> None:
    """Fifty mappings, one of them about the event: one is looked at."""
    some = mappings([f'type = "track" and event = "E{number}"' for number in range(50)])
    index = Index(some)
    about, strange = {"type": "track", "event": "E7"}, {"type": "page"}
    assert [len(index.concerned(each).mappings) for each in (about, strange)] == [1, 0]


def test_it_is_known_whether_a_part_of_the_event_suffices() -> None:
    """Per type and name of event: what one mapping asks costs the events of others nothing."""
    some = mappings(
        ['type = "track" and event = "A"', 'type = "identify" and traits.plan = "gold"']
    )
    index = Index(some, lambda place: place in {("type",), ("event",)})
    assert index.concerned({"type": "track", "event": "A"}).seen
    assert index.concerned({"type": "page"}).seen
    assert not index.concerned({"type": "identify"}).seen
