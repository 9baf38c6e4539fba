"""Payloads: a mapping and the check of its action's fields as one function.

A payload that is made first and checked then is written and read twice. Where the mapping's own
object is the payload, each member is checked as soon as it is made, and what the action has no
field for is not made at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from destination.fields import Field, compile_fields
from destination.fields.check import ABSENT, FieldCheck, ObjectCheck, object_check
from destination.mapping.engine import compile_mapping, compiled
from destination.mapping.flat import as_checked_function
from destination.mapping.plan import Checked, Constant, Lookup, Members, Plan

Payload = dict[str, Any]


def compile_payload(tree: Any, fields: tuple[Field, ...]) -> Callable[[Payload], Payload]:
    """``payload(event)``: what the mapping ``tree`` gives, checked by ``fields``.

    The same as ``compile_fields(fields)(compile_mapping(tree)(event) or {})``, and read-only like
    a mapping's result. Raises ``MappingError``; ``payload`` raises ``MappingError`` and
    ``PayloadError``.
    """
    compiler, plan = compiled(tree)
    if not isinstance(plan, Members) or compiler.grows or compiler.gaps:
        return _one_after_the_other(tree, fields)
    return as_checked_function(_checked(plan, object_check(fields)), metered=compiler.metered)


def _one_after_the_other(tree: Any, fields: tuple[Field, ...]) -> Callable[[Payload], Payload]:
    resolve, check = compile_mapping(tree), compile_fields(fields)
    return lambda event: check(resolve(event) or {})


def _checked(plan: Members, check: ObjectCheck) -> Checked:
    members: list[tuple[str, Plan, FieldCheck | None]] = []
    for name, member in plan.members:
        field = check.fields.get(name)
        if field is None and check.additional:
            members.append((name, member, None))
        elif field is None:
            if _may_fail(member):
                members.append((name, member, _dropped(name)))
        elif field.inside and isinstance(member, Members) and not member.keep:
            members.append((name, _checked(member, field.inside), field))
        else:
            members.append((name, member, field))
    return Checked(tuple(members), check.required)


def _may_fail(plan: Plan) -> bool:
    if isinstance(plan, Members):
        return any(_may_fail(member) for _, member in plan.members)
    return not isinstance(plan, Constant | Lookup)


def _dropped(name: str) -> FieldCheck:
    return FieldCheck(name, lambda _value, _problems: ABSENT)
