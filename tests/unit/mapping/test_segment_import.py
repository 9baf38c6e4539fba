"""Segment's mappings come in meaning what they meant, and go out again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.mapping.file import read_mapping_file
from destination.mapping.segment import export_segment, export_terraform, import_segment
from destination.registry import DESTINATIONS

PROFILE = {"email": {"@path": "$.context.traits.email"}}
TRACK: dict[str, Any] = {
    "id": "s1",
    "name": "Track Event",
    "actionId": "a1",
    "actionSlug": "trackEvent",
    "enabled": True,
    "trigger": 'type = "track"',
    "settings": {
        "metric_name": {"@path": "$.event"},
        "properties": {"@path": "$.properties"},
        "profile": PROFILE,
        "enable_batching": True,
        "batch_size": 500,
    },
}


def only(document: Any) -> tuple[dict[str, Any], list[str]]:
    """The one mapping in ``document``, and the warnings."""
    file, warnings = import_segment(document)
    (entry,) = file["mappings"]
    return entry, warnings


TERRAFORM = {
    "version": 4,
    "resources": [
        {"type": "segment_source", "instances": [{"attributes": {"name": "web", "slug": "web"}}]},
        {
            "type": "segment_destination_subscription",
            "instances": [
                {
                    "attributes": {
                        "name": "Track Event",
                        "action_id": "a1",
                        "enabled": True,
                        "trigger": TRACK["trigger"],
                        "settings": json.dumps(TRACK["settings"]),
                        "model_id": None,
                    }
                }
            ],
        },
        {
            "type": "segment_destination",
            "instances": [
                {"attributes": {"metadata": {"actions": [{"id": "a1", "slug": "trackEvent"}]}}}
            ],
        },
    ],
}


@pytest.mark.parametrize(
    "document",
    [
        {"data": {"subscriptions": [TRACK]}, "pagination": {"next": None}},
        {"data": {"subscription": TRACK}},
        {"data": {"destinationSubscription": TRACK}},
        [TRACK],
        TRACK,
        TERRAFORM,
    ],
    ids=["list", "single", "created", "array", "object", "terraform"],
)
def test_every_form_of_export_is_read(document: Any) -> None:
    """The same mapping comes out, without a warning."""
    entry, warnings = only(document)
    assert warnings == []
    assert entry == {
        "name": "track-event",
        "description": "Imported from Segment: Track Event",
        "action": "trackEvent",
        "trigger": 'type = "track"',
        "enabled": True,
        "fields": TRACK["settings"],
        "batch": {"enabled": True, "size": 500},
    }


def test_import_can_be_read_as_a_mapping_file() -> None:
    """Without a problem."""
    file, _ = import_segment([TRACK, {**TRACK, "trigger": 'type = "page"'}])
    mappings, problems = read_mapping_file(json.dumps(file), "x", DESTINATIONS["klaviyo"].actions)
    assert problems == []
    assert [mapping.name for mapping in mappings] == [
        "segment-import/track-event",
        "segment-import/track-event-2",
    ]


def test_trigger_is_rewritten_where_it_would_mean_something_else() -> None:
    """And the warning shows both."""
    entry, warnings = only({**TRACK, "trigger": 'name = "a" and name = "b" or name = "c"'})
    assert entry["trigger"] == 'name = "a" or name = "b" or name = "c"'
    assert "rewritten" in warnings[0]
    assert 'name = "a" and name = "b" or name = "c"' in warnings[0]


def test_trigger_that_never_worked_is_disabled() -> None:
    """As at Segment, where it never ran."""
    entry, warnings = only({**TRACK, "trigger": "length(event) = 3"})
    assert entry["enabled"] is False
    assert "never ran" in warnings[0]


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({"trigger": 'type = "Track"'}, "matches no event"),
        ({"settings": {"x": {"@oops": 1}, "profile": {}}}, "settings fail at /x"),
        ({"settings": {"x": [{"@oops": 1}], "profile": {}}}, "settings fail at /x/0"),
        ({"settings": {"metric_name": "x"}}, "map no profile"),
        ({"settings": None}, "no settings"),
        ({"settings": "{"}, "not JSON"),
        ({"settings": [1]}, "a list in place of an object"),
        ({"modelId": "m1"}, "reverse ETL model"),
        ({"actionSlug": None}, 'known only by the id "a1"; taken from its name: trackEvent'),
    ],
)
def test_what_may_go_wrong_is_warned_of(change: dict[str, Any], warning: str) -> None:
    """The mapping is imported all the same."""
    _, warnings = only({**TRACK, **change})
    assert any(warning in said and said.startswith("Track Event: ") for said in warnings)


def test_other_destinations_are_left_out() -> None:
    """With a warning that names the action."""
    file, warnings = import_segment([{**TRACK, "actionSlug": "postToWebhook"}])
    assert file["mappings"] == []
    assert 'its action "postToWebhook"' in warnings[0]


def test_nothing_to_import_is_said() -> None:
    """With what could be given."""
    file, warnings = import_segment({"data": {}})
    assert file["mappings"] == []
    assert "GET /destinations" in warnings[0]


def test_disabled_stays_disabled() -> None:
    """Segment makes mappings disabled; nobody wants them to start by themselves."""
    assert only({**TRACK, "enabled": False})[0]["enabled"] is False


def test_list_chosen_at_saving_is_kept() -> None:
    """Segment prefers it to the other two."""
    settings = {"list_id": "L1", "retlOnMappingSave": {"outputs": {"id": "L9", "name": "n"}}}
    entry, warnings = only({**TRACK, "actionSlug": "upsertProfile", "settings": settings})
    assert entry["fields"] == {**settings, "override_list_id": "L9"}
    assert "L9" in warnings[0]


def test_events_that_are_sent_twice_are_pointed_out() -> None:
    """Segment's defaults track an order and send it as an order."""
    order = {**TRACK, "name": "Order", "actionSlug": "orderCompleted"}
    _, warnings = import_segment([TRACK, order])
    assert any(
        "every Order Completed is tracked by it and also goes to order" in w for w in warnings
    )
    assert import_segment([TRACK, {**order, "enabled": False}])[1] == []


def test_export_and_import_are_inverse() -> None:
    """Names, actions, triggers, settings and batching survive the round trip."""
    others = [
        {**TRACK, "name": "People", "actionSlug": "upsertProfile", "trigger": 'type = "identify"'},
        {**TRACK, "name": "Off", "enabled": False, "trigger": 'event = "A" or event = "B"'},
    ]
    file, _ = import_segment([TRACK, *others])
    exported, warnings = export_segment(file)
    assert warnings == []
    again, _ = import_segment(exported)
    strip = ("name", "action", "trigger", "enabled", "fields", "batch")
    assert [{key: entry[key] for key in strip} for entry in again["mappings"]] == [
        {key: entry[key] for key in strip} for entry in file["mappings"]
    ]


def test_a_terraform_configuration_says_the_same() -> None:
    """Ids are variables of it, and nothing in a mapping is a template to Terraform."""
    settings = {**TRACK["settings"], "value": {"@template": "${x} %{if y} {{z}}"}}
    file, _ = import_segment([{**TRACK, "settings": settings}])
    written, warnings = export_terraform(file)
    assert warnings == []
    (resource,) = written["resource"]["segment_destination_subscription"].values()
    assert resource["action_id"] == '${var.klaviyo_action_ids["trackEvent"]}'
    assert resource["destination_id"] == "${var.klaviyo_destination_id}"
    assert "$${x} %%{if y} {{z}}" in resource["settings"]
    assert written["variable"].keys() == {"klaviyo_destination_id", "klaviyo_action_ids"}
    (again, _), (entry,) = only(json.loads(json.dumps(written))), file["mappings"]
    strip = ("name", "action", "trigger", "enabled", "fields", "batch")
    assert [again[key] for key in strip] == [entry[key] for key in strip]


def test_export_says_what_segment_has_not() -> None:
    """Our own actions and options, and triggers that its parser takes for something else."""
    entry = {
        "name": "m",
        "action": "trackEvent",
        "trigger": '!(type = "track")',
        "fields": {},
        "batch": {"enabled": True, "wait_seconds": 5},
        "examples": [{"name": "x", "event": {}, "skipped": True}],
    }
    unreadable = {**entry, "trigger": 'message.groupId = "g"'}
    own = {**entry, "action": "mergeProfiles"}
    exported, warnings = export_segment({"name": "f", "mappings": [entry, unreadable, own]})
    assert [each["name"] for each in exported["data"]["subscriptions"]] == ["m", "m"]
    for said in ('takes its trigger for "type = "track""', "cannot read its trigger", "wait_seconds",
                 "no examples", "no action mergeProfiles"):  # fmt: skip
        assert any(said in warning for warning in warnings)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["data", "name", "trigger", "actionSlug", "actionId", "settings", "enabled", "id", "slug"]),
        inner,
        max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip


@given(_json)
def test_any_document_is_imported_or_refused(document: Any) -> None:
    """Nothing is raised, whatever stands in the export."""
    file, warnings = import_segment(document)
    assert file["mappings"] or warnings
    exported, _ = export_segment(file)
    assert len(exported["data"]["subscriptions"]) == len(file["mappings"])
