"""Previews: examples, explanations, comparisons, overlaps and rewritten expectations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.mapping import MISSING
from destination.mapping.file import Mapping, read_mapping_file
from destination.pipeline import Route, route
from destination.preview import (
    Change,
    Explanation,
    Given,
    Ran,
    Side,
    compare,
    explain,
    explanation_json,
    overlaps,
    preview,
    run_examples,
    update_file,
)
from destination.preview.examples import same
from destination.preview.golden import Update, rewrite
from destination.registry import DESTINATIONS

KLAVIYO = DESTINATIONS["klaviyo"]
NOW = 1_790_000_000.0
REVISION = "2026-07-15"
ANN = {"type": "identify", "userId": "u-1", "messageId": "m-1", "traits": {"email": "ann@acme.io"}}
DONE = {
    "type": "track",
    "event": "Done",
    "userId": "u-1",
    "messageId": "m-2",
    "timestamp": "2026-09-20T10:00:00.000Z",
    "properties": {"n": 1},
}


def entry(**changes: Any) -> dict[str, Any]:
    """A mapping that saves a profile, changed."""
    return {
        "name": "profile",
        "action": "upsertProfile",
        "trigger": 'type = "identify"',
        "fields": {"email": {"@path": "$.traits.email"}, "external_id": {"@path": "$.userId"}},
        **changes,
    }


def tracking(**changes: Any) -> dict[str, Any]:
    """A mapping that records an event, changed."""
    fields = {
        "metric_name": {"@path": "$.event"},
        "profile": {"external_id": {"@path": "$.userId"}},
        "properties": {"@path": "$.properties"},
    }
    return entry(name="event", action="trackEvent", trigger='type = "track"', fields=fields) | (
        changes
    )


def mappings_of(*entries: dict[str, Any]) -> list[Mapping]:
    text = json.dumps({"name": "f", "mappings": list(entries)})
    found, problems = read_mapping_file(text, "f.json", KLAVIYO.actions)
    assert [problem for problem in problems if problem.severity == "error"] == []
    return found


def routes(*entries: dict[str, Any]) -> list[Route]:
    return [route(mapping, KLAVIYO.actions) for mapping in mappings_of(*entries)]


def explained(body: dict[str, Any], **changes: Any) -> Explanation:
    (ready,) = routes(entry(**changes))
    return explain(body, ready, KLAVIYO, now=NOW, revision=REVISION)


def given_by(found: Explanation, field: str) -> Given:
    (one,) = (each for each in found.given if each.field == field)
    return one


# Examples


def run(**claims: Any) -> Ran:
    """The run of one example, of an event that is wanted and sent."""
    example = {"name": "e", "event": ANN, **claims}
    (ran,) = run_examples(mappings_of(entry(examples=[example])), KLAVIYO, revision=REVISION)
    return ran


def test_an_example_that_holds_has_no_failures() -> None:
    """Whatever it claims."""
    payload = {"email": "ann@acme.io", "external_id": "u-1"}
    assert run(payload=payload).failures == ()
    assert run(event={"type": "track"}, skipped=True).failures == ()
    assert run(event={"type": "identify"}, refused="missing_identifier").failures == ()


def test_every_claim_about_what_is_sent_is_judged() -> None:
    """Payload and requests each give a failure of their own."""
    ran = run(payload={}, requests=[])
    assert [failure.what for failure in ran.failures] == ["payload", "requests"]
    assert ran.failures[0].found == {"email": "ann@acme.io", "external_id": "u-1"}
    assert ran.failures[1].found[0]["path"] == "/api/profiles"
    assert (ran.file, ran.mapping, ran.example) == ("f.json", "f/profile", "e")


@pytest.mark.parametrize(
    ("claims", "what", "found"),
    [
        ({"skipped": True}, "skipped", False),
        ({"event": {"type": "track"}, "payload": {}}, "skipped", True),
        ({"refused": "missing_identifier"}, "refused", None),
        ({"event": {"type": "identify"}, "payload": {}}, "refused", "missing_identifier"),
    ],
)
def test_an_event_that_goes_another_way_is_one_failure(
    claims: dict[str, Any], what: str, found: Any
) -> None:
    """Then nothing else of the example can hold."""
    (failure,) = run(**claims).failures
    assert (failure.what, failure.found) == (what, found)


def test_true_is_not_one() -> None:
    """Python says that they are equal, JSON does not; 1 and 1.0 are one number."""
    assert same({"a": [1]}, {"a": [1.0]})
    assert not same({"a": [True]}, {"a": [1]})
    assert not same({"a": False}, {"a": 0})
    assert not same([1], [1, 2])
    assert not same({"a": 1}, {"b": 1})


# Rewriting what examples expect


def failing_file(**example: Any) -> tuple[str, list[Ran]]:
    document = {
        "name": "f",
        "mappings": [entry(examples=[{"name": "e", "event": ANN, **example}])],
    }
    text = json.dumps(document, indent=2)
    mappings, _ = read_mapping_file(text, "f.json", KLAVIYO.actions)
    return text, run_examples(mappings, KLAVIYO, revision=REVISION)


def test_updating_makes_payload_and_requests_hold() -> None:
    """And touches nothing else."""
    text, ran = failing_file(payload={}, requests=[])
    after = update_file(text, ran)
    mappings, problems = read_mapping_file(after, "f.json", KLAVIYO.actions)
    assert problems == []
    assert all(not each.failures for each in run_examples(mappings, KLAVIYO, revision=REVISION))
    assert after == json.dumps(json.loads(after), indent=2)


def test_updating_changes_only_the_lines_that_are_wrong() -> None:
    """Members keep the order in which they stood, so that the change is easy to review."""
    payload = {"external_id": "old", "email": "ann@acme.io"}
    text, ran = failing_file(payload=payload)
    assert update_file(text, ran) == text.replace('"old"', '"u-1"')


@pytest.mark.parametrize("claims", [{"skipped": True}, {"refused": "missing_identifier"}])
def test_updating_does_not_decide_which_way_an_event_goes(claims: dict[str, Any]) -> None:
    """That is for a person."""
    text, ran = failing_file(**claims)
    assert ran[0].failures
    assert update_file(text, ran) == text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


def places(value: Any, here: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield here
    if isinstance(value, dict):
        for key, member in value.items():
            yield from places(member, (*here, key))
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*here, index))


def put(value: Any, place: tuple[str | int, ...], new: Any) -> Any:
    if not place:
        return new
    first, *rest = place
    if isinstance(value, dict):
        return {k: put(v, tuple(rest), new) if k == first else v for k, v in value.items()}
    return [put(v, tuple(rest), new) if i == first else v for i, v in enumerate(value)]


@given(JSON, JSON, st.data(), st.sampled_from([None, 1, 2, "\t"]), st.booleans())
def test_rewriting_replaces_exactly_the_value_at_a_place(
    document: Any, new: Any, data: st.DataObject, indent: int | str | None, ascii_only: bool
) -> None:
    """However the document is written down."""
    place = data.draw(st.sampled_from(list(places(document))))
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    after = rewrite(text, [Update(place, new)])
    assert json.loads(after) == put(document, place, new)


def test_rewriting_keeps_the_files_own_form() -> None:
    """Spaces, line ends and numbers outside of the value stay as they are written."""
    text = '{\r\n\t"a" : 1.50,\r\n\t"b": [ 1,2 ]\r\n}\r\n'
    after = rewrite(text, [Update(("b",), [3, 4])])
    assert after == '{\r\n\t"a" : 1.50,\r\n\t"b": [\r\n\t  3,\r\n\t  4\r\n\t]\r\n}\r\n'


# Explanations


def test_each_field_says_what_it_read_and_from_where() -> None:
    """The directive, its place in the mapping, and the path with its value."""
    found = explained(ANN)
    email = given_by(found, "email")
    assert (email.directive, email.place, email.value) == ("@path", "/fields/email", "ann@acme.io")
    assert [(each.path, each.value) for each in email.reads] == [("$.traits.email", "ann@acme.io")]
    assert found.preview.payload == {"email": "ann@acme.io", "external_id": "u-1"}


def test_what_is_missing_is_told() -> None:
    """A path that leads nowhere gives nothing."""
    fields = {"email": {"@path": "$.traits.email"}, "title": {"@path": "$.traits.job.title"}}
    found = given_by(explained(ANN, fields=fields), "title")
    assert found.value is MISSING
    assert found.reads[0].value is MISSING


def test_the_branch_that_was_taken_is_named() -> None:
    """All the paths that were looked at are listed, the one not taken too."""
    fields = {
        "email": {
            "@if": {
                "exists": {"@path": "$.properties.email"},
                "then": {"@path": "$.properties.email"},
                "else": {"@path": "$.traits.email"},
            }
        }
    }
    found = given_by(explained(ANN, fields=fields), "email")
    assert (found.place, found.directive) == ("/fields/email/@if/else", "@path")
    assert found.value == "ann@acme.io"
    assert [each.path for each in found.reads] == ["$.properties.email", "$.traits.email"]


def test_branches_inside_branches_and_objects_are_followed() -> None:
    """Down to the part that gave the value."""
    inner = {"@if": {"blank": {"@path": "$.traits.city"}, "then": "x", "else": {"city": "Leeds"}}}
    fields = {
        "external_id": {"@path": "$.userId"},
        "location": {"@if": {"exists": {"@path": "$.userId"}, "then": inner}},
    }
    found = given_by(explained(ANN, fields=fields), "location.city")
    assert found.place == "/fields/location/@if/then/@if/else/city"
    assert (found.directive, found.value) == ("", "Leeds")


def test_templates_lists_and_transformations_tell_what_they_read() -> None:
    """Of the event; not paths that start at an item or at what was made."""
    fields = {
        "external_id": {"@template": "{{userId}}-{{ traits.none }}"},
        "properties": {
            "skus": {"@arrayPath": ["$.traits.items", {"@path": "$.sku"}]},
            "made": {
                "@transform": {
                    "apply": {"a": {"@path": "$.traits.email"}},
                    "mapping": {"b": {"@path": "$.a"}},
                }
            },
        },
    }
    found = explained(ANN, fields=fields)
    read = {each.field: [reading.path for reading in each.reads] for each in found.given}
    assert read == {
        "external_id": ["userId", "traits.none"],
        "properties.skus": ["$.traits.items"],
        "properties.made": ["$.traits.email"],
    }


def test_a_mapping_made_by_one_directive_is_one_value() -> None:
    """Its members have no places of their own."""
    fields = {
        "__segment_internal_directive": {"@transform": {"apply": {"who": {"@path": "$.userId"}}}},
        "external_id": {"@path": "$.who"},
    }
    (found,) = explained(ANN, fields=fields).given
    assert (found.field, found.value) == ("", {"external_id": "u-1"})
    fields = {"@merge": {"direction": "right", "objects": [{"external_id": {"@path": "$.userId"}}]}}
    (found,) = explained(ANN, fields=fields).given
    assert (found.field, found.place, found.value) == ("", "/fields", {"external_id": "u-1"})


def test_what_validation_and_preparation_change_is_told() -> None:
    """With both values; what is no field of the action is left out."""
    body = {**ANN, "traits": {"email": "ann@acme.io", "firstName": 12}}
    fields = {
        "email": {"@path": "$.traits.email"},
        "first_name": {"@path": "$.traits.firstName"},
        "phone_number": "415 555 2671",
        "country_code": "US",
        "title": "",
    }
    found = explained(body, fields=fields)
    turned = {(each.by, each.field): (each.before, each.after) for each in found.turned}
    assert turned == {
        ("validation", "first_name"): (12, "12"),
        ("validation", "title"): ("", MISSING),
        ("preparation", "phone_number"): ("415 555 2671", "+14155552671"),
        ("preparation", "country_code"): ("US", MISSING),
    }


def test_a_refusal_lists_every_problem() -> None:
    """As validation found them; the outcome says the code."""
    body = {**ANN, "traits": {"email": "nobody", "image": {}}}
    fields = {"email": {"@path": "$.traits.email"}, "image": {"@path": "$.traits.image"}}
    found = explained(body, fields=fields)
    assert [problem.path for problem in found.problems] == ["email", "image"]
    assert found.preview.refused is not None
    assert found.preview.refused.code == "payload_invalid"
    assert found.turned == ()


def test_a_field_that_cannot_be_resolved_says_why() -> None:
    """The others are still explained."""
    fields = {"email": {"@path": {"@path": "$.traits"}}, "external_id": {"@path": "$.userId"}}
    found = explained(ANN, fields=fields)
    assert given_by(found, "email").problem
    assert given_by(found, "external_id").value == "u-1"
    assert found.preview.refused is not None
    assert found.preview.refused.code == "mapping_failed"


def test_a_trigger_that_does_not_match_says_which_condition_fails() -> None:
    """With what the event has there; a negated group is shown as one."""
    trigger = 'type = "identify" and traits.email != null and !(userId = "u-1" or userId = "x")'
    found = explained(ANN, trigger=trigger)
    assert not found.preview.matched
    assert [(each.condition, each.holds, each.seen) for each in found.asked] == [
        ('type = "identify"', True, "identify"),
        ("traits.email != null", True, "ann@acme.io"),
        ('!(userId = "u-1" or userId = "x")', False, MISSING),
    ]
    assert found.given == ()


def test_an_explanation_can_be_written_as_json() -> None:
    """What is missing has no member."""
    fields = {"email": {"@path": "$.traits.email"}, "title": {"@path": "$.traits.title"}}
    said = explanation_json(explained(ANN, fields=fields))
    assert json.loads(json.dumps(said)) == said
    title = next(each for each in said["given"] if each["field"] == "title")
    assert "value" not in title
    assert title["reads"] == [{"path": "$.traits.title"}]


def test_explaining_changes_nothing() -> None:
    """The event is as before, and the preview is the one without reasons."""
    before = json.dumps(ANN)
    (ready,) = routes(entry())
    found = explain(ANN, ready, KLAVIYO, now=NOW, revision=REVISION)
    assert json.dumps(ANN) == before
    assert found.preview == preview(ANN, ready, KLAVIYO, now=NOW, revision=REVISION)


# Comparisons


def changes(
    body: dict[str, Any], before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> list[Change]:
    return compare(
        body,
        Side(routes(*before)),
        Side(routes(*after)),
        KLAVIYO,
        now=NOW,
        revision=REVISION,
    )


def test_the_same_mappings_change_nothing() -> None:
    """Under other names too, and in another order."""
    assert changes(ANN, [entry(), tracking()], [tracking(), entry()]) == []
    assert changes(ANN, [entry()], [entry(name="renamed", description="other")]) == []


def test_another_value_is_a_changed_request() -> None:
    """Told with both requests."""
    (change,) = changes(ANN, [entry()], [entry(fields={"external_id": {"@path": "$.userId"}})])
    assert (change.kind, change.mapping) == ("changed", "f/profile")
    assert change.before is not None
    assert change.after is not None
    assert "email" in change.before["json"]["data"]["attributes"]
    assert "email" not in change.after["json"]["data"]["attributes"]


def test_a_mapping_more_or_less_adds_or_removes_its_requests() -> None:
    """So does a trigger that wants more or less, and being enabled or not."""
    (added,) = changes(ANN, [], [entry()])
    assert (added.kind, added.before) == ("added", None)
    (removed,) = changes(DONE, [tracking()], [tracking(trigger='event = "Other"')])
    assert (removed.kind, removed.after) == ("removed", None)
    (disabled,) = changes(DONE, [tracking()], [tracking(enabled=False)])
    assert disabled.kind == "removed"


def test_a_new_refusal_is_a_change() -> None:
    """The dead letter stands in place of the request."""
    (change,) = changes(ANN, [entry()], [entry(fields={"email": {"@path": "$.userId"}})])
    assert change.kind == "changed"
    assert change.after == {"refused": "payload_invalid", "field": "email"}


def test_ids_that_follow_from_other_requests_are_no_change() -> None:
    """Only the request whose own content differs is told."""
    fields = {"email": {"@path": "$.traits.email"}, "list_id": "AbC123"}
    before = entry(action="addProfileToList", fields=fields)
    after = entry(action="addProfileToList", fields={**fields, "title": "Dr"})
    (change,) = changes(ANN, [before], [after])
    assert change.before is not None
    assert change.before["path"] == "/api/profiles"


# Overlaps


def example(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": "e", "event": body, "payload": {}}]


def test_an_event_that_two_mappings_would_send_is_found() -> None:
    """Once for each pair, with the example that shows it."""
    one = tracking(name="one", examples=example(DONE))
    two = tracking(name="two", trigger='event = "Done"', examples=example(DONE))
    (found,) = overlaps(mappings_of(one, two))
    assert (found.mapping, found.other, found.action) == ("f/one", "f/two", "trackEvent")
    assert "f/one: e" in str(found)


@pytest.mark.parametrize(
    "other",
    [
        {"enabled": False},
        {"trigger": 'event = "Other"'},
        {"action": "upsertProfile", "fields": {"external_id": {"@path": "$.userId"}}},
    ],
)
def test_other_events_and_other_actions_are_no_overlap(other: dict[str, Any]) -> None:
    """Nor is a mapping that is not in use."""
    one = tracking(name="one", examples=example(DONE))
    assert overlaps(mappings_of(one, tracking(name="two", **other))) == []
