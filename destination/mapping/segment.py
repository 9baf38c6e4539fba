"""Segment's mappings of a Klaviyo destination: into a mapping file, and back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from destination.errors import TriggerError
from destination.event import encode
from destination.mapping.engine import certain_failures, check_mapping
from destination.mapping.problem import excerpt
from destination.mapping.segment_subscriptions import (
    ACTION_IDS,
    Subscription,
    subscriptions_of,
)
from destination.mapping.trigger import (
    canonical,
    compile_trigger,
    never_matches,
    parse_trigger,
    segment_meaning,
)

ACTIONS = (
    *("upsertProfile", "trackEvent", "orderCompleted", "addProfileToList"),
    *("removeProfileFromList", "removeProfile", "subscribeProfile", "unsubscribeProfile"),
)
"""The actions of Segment's Klaviyo destination. Ours of the same names take the same fields."""

NEVER = 'type = ""'
"""The trigger of a mapping whose own trigger Segment could not read, so that it never ran."""

_DESTINATION = "klaviyo_destination_id"
_NOTHING = (
    "no mappings found: give the answer of GET /destinations/{id}/subscriptions, a list of"
    " subscriptions, or a Terraform state"
)
_NEEDS_PROFILE = frozenset({"trackEvent", "orderCompleted"})
_OWN_EVENTS = {
    "orderCompleted": "Order Completed",
    "addProfileToList": "Audience Entered",
    "removeProfileFromList": "Audience Exited",
    "subscribeProfile": "User Subscribed",
    "unsubscribeProfile": "User Unsubscribed",
}


def import_segment(document: Any) -> tuple[dict[str, Any], list[str]]:
    """A mapping file that does what Segment's mappings in ``document`` did, and warnings.

    ``document`` is what Segment's Public API answers to a request for a destination's
    subscriptions, one or a list of them alone, or a Terraform state (``terraform state pull``,
    ``terraform show -json``). Triggers are rewritten where Segment's parser reads them otherwise
    than ours; settings stay as they are.
    """
    subscriptions = list(subscriptions_of(document))
    warnings = [] if subscriptions else [_NOTHING]
    entries: list[dict[str, Any]] = []
    for subscription in subscriptions:
        entry, found = _entry(subscription, {entry["name"] for entry in entries})
        warnings += [f"{subscription.name}: {warning}" for warning in found]
        if entry:
            entries.append(entry)
    warnings += _overlaps(entries)
    description = "Imported from Segment."
    return {"name": "segment-import", "description": description, "mappings": entries}, warnings


def export_segment(file: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The mappings of a mapping file as Segment's Public API gives them, and what differs there."""
    warnings: list[str] = []
    subscriptions = []
    for entry in file["mappings"]:
        if entry["action"] not in ACTIONS:
            warnings.append(f"{entry['name']}: left out, Segment has no action {entry['action']}")
            continue
        warnings += [f"{entry['name']}: {warning}" for warning in _lost(entry)]
        subscriptions.append(
            {
                "name": entry["name"],
                "actionSlug": entry["action"],
                "enabled": entry.get("enabled", True),
                "trigger": entry["trigger"],
                "settings": {**_batch_settings(entry.get("batch", {})), **entry["fields"]},
            }
        )
    return {"data": {"subscriptions": subscriptions}}, warnings


def export_terraform(file: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The same as a Terraform configuration (a ``.tf.json`` file) for Segment's provider.

    The ids of destination and actions differ between workspaces: they are its variables.
    """
    exported, warnings = export_segment(file)
    resources = {
        re.sub(r"[^A-Za-z0-9_-]", "_", f"{each['actionSlug']}_{each['name']}"): {
            "destination_id": f"${{var.{_DESTINATION}}}",
            "name": _verbatim(each["name"]),
            "enabled": each["enabled"],
            "action_id": f'${{var.{ACTION_IDS}["{each["actionSlug"]}"]}}',
            "trigger": _verbatim(each["trigger"]),
            "settings": _verbatim(encode(each["settings"]).decode()),
        }
        for each in exported["data"]["subscriptions"]
    }
    variables = {
        _DESTINATION: {"type": "string", "description": "Id of the Klaviyo destination."},
        ACTION_IDS: {
            "type": "map(string)",
            "description": "Ids of its actions by slug, as GET /destinations/{id} lists them.",
        },
    }
    return {
        "variable": variables,
        "resource": {"segment_destination_subscription": resources},
    }, warnings


def _verbatim(text: str) -> str:
    """A text that Terraform takes for no template."""
    return text.replace("${", "$${").replace("%{", "%%{")


def _entry(subscription: Subscription, taken: set[str]) -> tuple[dict[str, Any] | None, list[str]]:
    if subscription.action not in ACTIONS:
        seen = excerpt(subscription.action or "unknown")
        return None, [f"left out: its action {seen} is none of Segment's Klaviyo destination"]
    settings, said = _with_saved_list(subscription)
    warnings = [*subscription.warnings, *said]
    trigger, said = _trigger(subscription.trigger)
    warnings += said
    entry: dict[str, Any] = {
        "name": _free_name(subscription.name or subscription.action, taken),
        "description": f"Imported from Segment: {subscription.name}",
        "action": subscription.action,
        "trigger": trigger,
        "enabled": subscription.enabled and trigger != NEVER,
        "fields": settings,
    }
    batch = _batch(settings)
    if batch:
        entry["batch"] = batch
    warnings += _setting_warnings(entry)
    return entry, warnings


def _with_saved_list(subscription: Subscription) -> tuple[dict[str, Any], list[str]]:
    """The settings, with the list that was chosen when the mapping was saved where Segment puts
    it: before ``override_list_id`` and ``list_id``.
    """
    settings = subscription.settings
    saved = settings.get("retlOnMappingSave")
    outputs = saved.get("outputs") if isinstance(saved, dict) else None
    chosen = outputs.get("id") if isinstance(outputs, dict) else None
    if subscription.action != "upsertProfile" or not isinstance(chosen, str) or not chosen:
        return settings, []
    warning = f"the list {chosen}, chosen when it was saved, is its override_list_id now"
    return {**settings, "override_list_id": chosen}, [warning]


def _trigger(source: Any) -> tuple[str, list[str]]:
    try:
        meaning = segment_meaning(source if isinstance(source, str) else "")
    except TriggerError as error:
        warning = f"Segment cannot read its trigger {excerpt(source, 200)}, so it never ran and is"
        return NEVER, [f"{warning} disabled here: {error.message}"]
    warnings = []
    reason = never_matches(parse_trigger(meaning))
    if reason:
        warnings.append(f"its trigger matches no event, here as at Segment: {reason}")
    if _says(source, meaning):
        return source, warnings
    warnings.append(
        f"its trigger is rewritten to what it means at Segment: {excerpt(source, 300)}"
        f" becomes {excerpt(meaning, 300)}"
    )
    return meaning, warnings


def _says(source: str, meaning: str) -> bool:
    """Whether our parser reads ``source`` as ``meaning``, so that it can stay as it is."""
    try:
        return canonical(parse_trigger(source)) == canonical(parse_trigger(meaning))
    except TriggerError:
        return False


def _free_name(name: str, taken: set[str]) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80] or "mapping"
    numbered = (f"{slug}-{number}" for number in range(2, len(taken) + 3))
    return next(each for each in (slug, *numbered) if each not in taken)


def _batch(settings: dict[str, Any]) -> dict[str, Any]:
    """What ``enable_batching`` and ``batch_size`` mean here, where they are constants."""
    batch: dict[str, Any] = {}
    if isinstance(settings.get("enable_batching"), bool):
        batch["enabled"] = settings["enable_batching"]
    size = settings.get("batch_size")
    if batch.get("enabled") and type(size) is int:
        batch["size"] = size
    return batch


def _batch_settings(batch: dict[str, Any]) -> dict[str, Any]:
    settings = {"enable_batching": batch["enabled"]} if "enabled" in batch else {}
    return {**settings, "batch_size": batch["size"]} if batch.get("size") else settings


def _setting_warnings(entry: dict[str, Any]) -> Iterator[str]:
    fields = entry["fields"]
    for problem in check_mapping(fields) or certain_failures(fields):
        yield f"its settings fail at {problem.path}: {problem.message}"
    if entry["action"] in _NEEDS_PROFILE and "profile" not in fields:
        yield "its settings map no profile, which Klaviyo requires: every event would be refused"
    if not fields:
        yield "it has no settings: map its fields"


def _overlaps(entries: list[dict[str, Any]]) -> Iterator[str]:
    """Events that are tracked besides having an action of their own, as with Segment's defaults."""
    enabled = [entry for entry in entries if entry["enabled"]]
    tracking = [entry for entry in enabled if entry["action"] == "trackEvent"]
    for entry in enabled:
        event = {"type": "track", "event": _OWN_EVENTS.get(entry["action"], "")}
        if not event["event"] or not compile_trigger(entry["trigger"])(event):
            continue
        for other in tracking:
            if compile_trigger(other["trigger"])(event):
                yield (
                    f"{other['name']}: every {event['event']} is tracked by it and also goes to "
                    f'{entry["name"]}; add  and event != "{event["event"]}"  to its trigger to '
                    "avoid that"
                )


def _lost(entry: dict[str, Any]) -> Iterator[str]:
    try:
        meaning = segment_meaning(entry["trigger"])
        if not _says(entry["trigger"], meaning):
            yield f"Segment takes its trigger for {excerpt(meaning, 300)}"
    except TriggerError as error:
        yield f"Segment cannot read its trigger: {error.message}"
    if entry.get("batch", {}).get("wait_seconds"):
        yield "Segment has no wait_seconds"
    if entry.get("examples"):
        yield "Segment keeps no examples"
