"""Whether what was accepted arrived, and once. Each raises ``AssertionError`` with what is wrong."""

from __future__ import annotations

from collections import Counter

from benchmarks.installation import Installation
from benchmarks.load import Answered


def check_accepted(
    installed: Installation, answered: Answered, events: int, *, strange: bool = False
) -> None:
    """Every event was answered 200 and is counted as accepted, none as duplicate or refused.

    ``strange`` events, of a file, may be refused.
    """
    assert not answered.refused, f"{answered.refused} requests were refused\n{installed.logs()}"
    found: dict[str, int] = {}
    for field, by in installed.hash("sources").items():
        name = field.partition("|")[2]
        found[name] = found.get(name, 0) + by
    ended = found.get("accepted", 0) + found.get("unmatched", 0)
    ended += found.get("refused", 0) if strange else 0
    assert events == ended, f"{events} events were posted: {found}"
    assert answered.repeated or found["received"] == events, f"{events} were posted: {found}"


def check_arrived(installed: Installation, *, exact: bool, strange: bool = False) -> None:
    """What was accepted has ended as delivered, and no mark came to Klaviyo twice.

    ``exact``: each delivery is one row there, so as many marks came as there were deliveries;
    otherwise rows of one person may have become one, and orders several. ``strange`` events may
    also end as dead letters or be dropped.
    """
    counts = installed.counts()
    assert not counts["imbalance"], counts["imbalance"]
    mappings = [
        {"connection": connection, "mapping": mapping, **states}
        for connection, each in counts["connections"].items()
        for mapping, states in each["mappings"].items()
    ]
    delivered = sum(each["delivered"] for each in mappings)
    ends = ("delivered", "dead", "dropped") if strange else ("delivered",)
    others = [each for each in mappings if each["accepted"] != sum(each[end] for end in ends)]
    assert not others, f"not everything was delivered: {others}"
    marks = Counter(mark for arrival in installed.arrivals() for mark in arrival.marks)
    twice = [mark for mark, times in marks.items() if times > 1]
    assert not twice, f"{len(twice)} rows came to Klaviyo twice, such as {twice[:3]}"
    if exact:
        assert len(marks) == delivered, f"{delivered} deliveries, {len(marks)} rows at Klaviyo"
