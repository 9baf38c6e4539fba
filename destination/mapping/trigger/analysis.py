"""What can be said of a trigger before any event."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from destination.mapping.problem import excerpt
from destination.mapping.trigger.syntax import (
    And,
    Compare,
    Condition,
    Field,
    Find,
    Not,
    Or,
    Trigger,
    conditions,
)

CALLS = frozenset({"identify", "track", "page", "screen", "group", "alias"})
"""The calls of Segment's spec."""

_OTHER_CALLS = frozenset({"record", "delete", "merge", "audiencelist"})  # RudderStack's
_MOST_CASES = 256


def never_matches(trigger: Trigger) -> str | None:
    """Why no event can match ``trigger``; None if one might."""
    reasons = []
    for case in cases(trigger):
        reason = _contradiction(case)
        if reason is None:
            return None
        reasons.append(reason)
    return reasons[0] if reasons else None


def surprises(trigger: Trigger) -> list[str]:
    """Conditions that are true or false for other events than they seem to say."""
    return [text for condition in conditions(trigger) if (text := _surprise(condition))]


def _surprise(condition: Condition) -> str:
    if not isinstance(condition, Compare) or not isinstance(condition.value, str):
        return ""
    field, operator, written = condition.field, condition.operator, condition.written
    if written not in {"null", "true", "false"}:
        return ""
    meaning = f'{field} {operator} {written} compares with the text "{written}"'
    if written == "null":
        remedy = f'!(contains({field}, ""))' if operator == "=" else f'contains({field}, "")'
    else:
        remedy = f"!({field} = {written})"
        if operator == "=":
            return f"{meaning}; {field} is never a boolean"
    return f"{meaning}; write {remedy}"


def cases(trigger: Trigger) -> Iterator[tuple[Condition, ...]]:
    """Conjunctions of conditions one of which must hold. Negated parts ask nothing here."""
    match trigger:
        case Or(parts):
            for part in parts:
                yield from cases(part)
        case And(parts):
            options = [list(cases(part)) for part in parts]
            combined = 1
            for option in options:
                combined *= len(option)
            if combined > _MOST_CASES:
                yield ()
                return
            for chosen in product(*options):
                yield tuple(condition for case in chosen for condition in case)
        case Not():
            yield ()
        case _:
            yield (trigger,)


def _contradiction(case: tuple[Condition, ...]) -> str | None:
    by_field: dict[Field, list[Condition]] = {}
    for condition in case:
        by_field.setdefault(condition.field, []).append(condition)
    for field, asked in by_field.items():
        reason = _unknown_call(field, asked) or _conflict(field, asked)
        if reason:
            return reason
    return None


def _unknown_call(field: Field, asked: list[Condition]) -> str | None:
    if field.place != ("type",):
        return None
    for condition in asked:
        if isinstance(condition, Compare) and condition.operator == "=":
            call = condition.value
            if isinstance(call, str) and call not in CALLS | _OTHER_CALLS:
                small = call.lower()
                hint = (
                    f'write "{small}"'
                    if small in CALLS
                    else f"types are {', '.join(sorted(CALLS))}"
                )
                return f"no event has the type {excerpt(call)}; {hint}"
    return None


def _conflict(field: Field, asked: list[Condition]) -> str | None:
    kinds = {kind for condition in asked if (kind := _kind(condition))}
    if len(kinds) > 1:
        return f"{field} would have to be {' and '.join(sorted(kinds))} at once"
    equals = [each.value for each in _compares(asked, "=") if each.value is not None]
    if len({repr(value) for value in equals}) > 1:
        return f"{field} would have to be {_shown(equals[0])} and {_shown(equals[1])} at once"
    for value in equals:
        if any(not _allows(condition, value) for condition in asked):
            return f"{field} would have to be {_shown(value)} and is asked not to be"
    return _empty_range(field, asked)


def _kind(condition: Condition) -> str | None:
    """What a value must be for ``condition`` to hold, where it must be something."""
    if isinstance(condition, Find):
        return "a text"
    if condition.value is None:
        return "nothing" if condition.operator == "=" else None
    if isinstance(condition.value, bool):
        return "a boolean"
    if isinstance(condition.value, str):
        return "a text" if condition.operator == "=" else None
    return "a number"


def _compares(asked: list[Condition], operator: str) -> list[Compare]:
    return [each for each in asked if isinstance(each, Compare) and each.operator == operator]


def _allows(condition: Condition, value: str | float | bool) -> bool:
    """Whether ``condition`` holds for ``value``, which is of the kind that it asks for."""
    if isinstance(condition, Find) and isinstance(value, str):
        found = {
            "contains": condition.text in value,
            "starts_with": value.startswith(condition.text),
            "ends_with": value.endswith(condition.text),
        }[condition.how]
        return found is not condition.negated
    if isinstance(condition, Compare) and condition.operator == "!=":
        return condition.value != value
    return True


def _empty_range(field: Field, asked: list[Condition]) -> str | None:
    least, most = float("-inf"), float("inf")
    strict = False
    for condition in asked:
        if isinstance(condition, Find) or not isinstance(condition.value, (int, float)):
            continue
        number = float(condition.value)
        if condition.operator in {">", ">=", "="} and number >= least:
            strict |= condition.operator == ">"
            least = number
        if condition.operator in {"<", "<=", "="} and number <= most:
            strict |= condition.operator == "<"
            most = number
    if least > most or (least == most and strict):
        return f"{field} would have to be at least {least:g} and at most {most:g}"
    return None


def _shown(value: object) -> str:
    return excerpt(value) if isinstance(value, str) else str(value).lower()
