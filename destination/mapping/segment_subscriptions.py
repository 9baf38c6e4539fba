"""Where the mappings are in what Segment's API and Terraform write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from destination.event import decode
from destination.mapping.javascript import kind
from destination.mapping.problem import excerpt

ACTION_IDS = "klaviyo_action_ids"
"""The Terraform variable that names the actions in a configuration of ours."""

_DEPTH = 50
_OUR_ACTION = re.compile(rf'\$\{{var\.{ACTION_IDS}\["(\w+)"\]\}}')


@dataclass(frozen=True, slots=True)
class Subscription:
    """One of Segment's mappings. ``action`` is its slug, empty where none could be found."""

    name: str
    action: str
    trigger: Any
    enabled: bool
    settings: dict[str, Any]
    warnings: tuple[str, ...] = ()


def subscriptions_of(document: Any) -> Iterator[Subscription]:
    """The mappings in ``document``, in the order in which they stand there."""
    slugs = dict(_slugs(document, 0))
    for found in _found(document, 0):
        yield _subscription(found, slugs)


def _found(tree: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Everything that looks like a subscription: it has a trigger and an action."""
    if depth > _DEPTH:
        return
    if isinstance(tree, list):
        for item in tree:
            yield from _found(item, depth + 1)
    elif isinstance(tree, dict):
        if _is_subscription(tree):
            yield tree
            return
        for part in tree.values():
            yield from _found(part, depth + 1)


def _is_subscription(tree: dict[str, Any]) -> bool:
    named = {"actionSlug", "actionId", "action_slug", "action_id"} & tree.keys()
    return bool(named) and "trigger" in tree


def _slugs(tree: Any, depth: int) -> Iterator[tuple[str, str]]:
    """The slugs of actions by their ids, wherever the document lists actions."""
    if depth > _DEPTH or not isinstance(tree, (dict, list)):
        return
    if isinstance(tree, dict) and isinstance(tree.get("id"), str):
        slug = tree.get("slug")
        if isinstance(slug, str):
            yield tree["id"], slug
    for part in tree.values() if isinstance(tree, dict) else tree:
        yield from _slugs(part, depth + 1)


def _from_configuration(found: dict[str, Any]) -> dict[str, Any]:
    """A resource of a Terraform configuration as the API has it: no text of it is a template."""
    ours = _OUR_ACTION.fullmatch(str(found.get("action_id")))
    if not ours:
        return found
    plain = {
        name: value.replace("$${", "${").replace("%%{", "%{") if isinstance(value, str) else value
        for name, value in found.items()
    }
    return {**plain, "actionSlug": ours[1]}


def _subscription(found: dict[str, Any], slugs: dict[str, str]) -> Subscription:
    found = _from_configuration(found)
    name = str(found.get("name") or "")
    warnings: list[str] = []
    settings = _settings(found.get("settings"), warnings)
    model = found.get("modelId") or found.get("model_id")
    if model:
        warnings.append(
            f"it maps rows of the reverse ETL model {excerpt(model)}: send them to POST /rows,"
            " its schedule is not imported"
        )
    return Subscription(
        name=name,
        action=_action(found, slugs, name, warnings),
        trigger=found.get("trigger"),
        enabled=found.get("enabled", True) is True,
        settings=settings,
        warnings=tuple(warnings),
    )


def _settings(written: Any, warnings: list[str]) -> dict[str, Any]:
    """The settings; Terraform writes them as a text of JSON."""
    if isinstance(written, str):
        try:
            written = decode(written)
        except ValueError as error:
            warnings.append(f"its settings are not JSON and were left out: {error}")
            return {}
    if written is None or isinstance(written, dict):
        return written or {}
    warnings.append(f"its settings are {kind(written)} in place of an object and were left out")
    return {}


def _action(found: dict[str, Any], slugs: dict[str, str], name: str, warnings: list[str]) -> str:
    for key in ("actionSlug", "action_slug"):
        if isinstance(found.get(key), str) and found[key]:
            return str(found[key])
    identifier = found.get("actionId") or found.get("action_id")
    if isinstance(identifier, str) and identifier in slugs:
        return slugs[identifier]
    words = re.findall(r"[A-Za-z]+", name)
    guess = "".join([*words[:1], *(word.capitalize() for word in words[1:])])
    guess = guess[:1].lower() + guess[1:]
    warnings.append(
        f"its action is known only by the id {excerpt(identifier)}; taken from its name: {guess}"
    )
    return guess
