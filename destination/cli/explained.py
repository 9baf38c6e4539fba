"""What would be sent for an event, and why, for a person and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from destination.cli.shown import brief, pretty
from destination.mapping import MISSING
from destination.preview import Explanation, Given, Turned, explanation_json, preview_json
from destination.sending import Request


def as_json(body: dict[str, Any], found: Sequence[Explanation], *, reasons: bool) -> dict[str, Any]:
    """``event`` and ``deliveries``; with ``reasons`` also ``unwanted``, and why for each."""
    wanted = [each for each in found if each.preview.matched]
    if not reasons:
        return {"event": body, "deliveries": [preview_json(each.preview) for each in wanted]}
    return {
        "event": body,
        "deliveries": [explanation_json(each) for each in wanted],
        "unwanted": [explanation_json(each) for each in found if not each.preview.matched],
    }


def as_text(body: dict[str, Any], found: Sequence[Explanation], *, reasons: bool) -> str:
    """The same to read."""
    name = f"{body['type']} {body.get('event', '')}".strip()
    lines = [f"{name}  ({body['messageId']})"]
    wanted = [each for each in found if each.preview.matched]
    if not wanted:
        lines.append("  no mapping wants it")
    for each in wanted:
        lines += _delivery(each, reasons=reasons)
    if reasons:
        lines += [_unwanted(each) for each in found if not each.preview.matched]
    return "\n".join(lines)


def _delivery(found: Explanation, *, reasons: bool) -> Iterator[str]:
    yield f"  {found.preview.mapping} -> {found.preview.action}"
    if reasons:
        yield from (f"    {line}" for line in _reasons(found))
    refused = found.preview.refused
    if refused:
        yield f"    refused: {refused.code}: {refused.message}"
        return
    for request in found.preview.requests:
        yield from _request(request)


def _request(request: Request) -> Iterator[str]:
    query = "&".join(f"{name}={value}" for name, value in request.query.items())
    yield f"    {request.method} {request.path}{'?' if query else ''}{query}"
    if request.json is not None:
        yield "      " + pretty(request.json).replace("\n", "\n      ")


def _reasons(found: Explanation) -> Iterator[str]:
    width = max((len(each.field) for each in found.given), default=0)
    for each in found.given:
        yield f"{each.field or '(all)':<{width}} = {brief(each.value)}  {_origin(each)}"
    for turned in found.turned:
        yield _turned(turned)


def _origin(given: Given) -> str:
    """Where the value comes from, and the paths that lead nowhere."""
    if not given.directive and not given.reads:
        return "fixed"
    seen = [f"{each.path} is {brief(each.value)}" for each in given.reads]
    only = [each.path for each in given.reads] if len(given.reads) == 1 else []
    said = f"{given.directive or 'fixed'} at {given.place}"
    if given.problem:
        return f"{said}: {given.problem}"
    if only and given.reads[0].value is given.value and given.value is not MISSING:
        return f"{said}: {only[0]}"
    return f"{said}: {', '.join(seen)}" if seen else said


def _turned(turned: Turned) -> str:
    if turned.after is MISSING:
        return f"{turned.by} leaves out {turned.field} = {brief(turned.before)}"
    if turned.before is MISSING:
        return f"{turned.by} adds {turned.field} = {brief(turned.after)}"
    return f"{turned.by} turns {turned.field} = {brief(turned.before)} into {brief(turned.after)}"


def _unwanted(found: Explanation) -> str:
    missed = [each for each in found.asked if not each.holds]
    said = ", ".join(
        each.condition + ("" if each.seen is MISSING else f" (it is {brief(each.seen)})")
        for each in missed
    )
    return f"  not wanted by {found.preview.mapping}: {said}"
