"""Every recorded case of Segment's triggers: as written, and rewritten to mean what it meant."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from destination.errors import TriggerError
from destination.mapping.trigger import compile_trigger, segment_meaning
from tests.unit.mapping.mapping_cases import parametrize

Case = dict[str, Any]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each case."""
    parametrize(metafunc, "fql.json")


def answer(trigger: str, case: Case) -> bool | None:
    """What we answer; None where the trigger is refused."""
    try:
        matches = compile_trigger(trigger)
    except TriggerError:
        return None
    return matches(case["event"]) if isinstance(case.get("event"), dict) else False


def expected(case: Case) -> bool | None:
    """What Segment answered; None where its parser failed.

    Events that are no objects never get so far here, only the trigger is looked at.
    """
    if case.get("parse_error"):
        return None
    return case["expected"] if isinstance(case["event"], dict) else False


def _mixes_connectors(case: Case) -> bool:
    """``and`` and ``or`` in one group."""
    text = re.sub(r'"[^"]*"', "", case["fql"])
    text = re.sub(r"(contains|match)\s*\([^()]*\)", "", text)
    groups = [text]
    while group := re.search(r"\([^()]*\)", groups[0]):
        groups[0] = groups[0].replace(group[0], "", 1)
        groups.append(group[0])
    return any({"and", "or"} <= set(re.findall(r"\w+", each)) for each in groups)


def _calls_in_group(case: Case) -> bool:
    return bool(re.search(r"(?<![a-z])\([^)]*(contains|match)\(", case["fql"]))


def _names_what_segment_cannot(case: Case) -> bool:
    return bool(re.search(r"\.(\d|and\b|or\b|null\b)|\[\d+\]|[^\x00-\x7f]", case["fql"]))


REFUSALS: dict[str, Callable[[Case], bool]] = {
    "and with or needs parentheses": _mixes_connectors,
    "what Segment skips or misreads is refused": lambda case: bool(case.get("tags")),
}
"""Where we refuse what Segment answers (``docs/mapping.md``), by rule."""

DEVIATIONS: dict[str, Callable[[Case], bool]] = {
    "a group may hold functions": _calls_in_group,
    "! negates a group": lambda case: "!(" in case["fql"] and bool(case.get("tags")),
    "a space may follow !": lambda case: "! " in case["fql"] and bool(case.get("tags")),
    "more names can be written": lambda case: (
        _names_what_segment_cannot(case) and bool(case.get("tags"))
    ),
}
"""Where we answer otherwise than Segment, by rule."""


def test_trigger_answers_as_at_segment(case: Case) -> None:
    """The same answer, or a deviation that is listed by rule."""
    ours, theirs = answer(case["fql"], case), expected(case)
    if ours == theirs:
        return
    rules = REFUSALS if ours is None else DEVIATIONS
    excused = [rule for rule, applies in rules.items() if applies(case)]
    assert excused, f"{case['fql']} gave {ours}, Segment {theirs}, and no rule says so"


def test_rewritten_trigger_means_what_it_means_at_segment(case: Case) -> None:
    """Without any exception: the importer's rewriting gives Segment's answer or its failure."""
    if case.get("parse_error"):
        with pytest.raises(TriggerError):
            segment_meaning(case["fql"])
    else:
        assert answer(segment_meaning(case["fql"]), case) == expected(case)
