"""Triggers: which events a mapping wants, written in Segment's FQL.

::

    matches = compile_trigger('type = "track" and event = "Order Completed"')
    matches({"type": "track", "event": "Order Completed"})  # True
"""

from __future__ import annotations

from destination.mapping.trigger.analysis import never_matches, surprises
from destination.mapping.trigger.evaluate import Matches, as_predicate
from destination.mapping.trigger.parser import parse_trigger
from destination.mapping.trigger.segment import segment_meaning
from destination.mapping.trigger.syntax import Trigger, canonical, to_text

__all__ = [
    "Matches",
    "Trigger",
    "as_predicate",
    "canonical",
    "compile_trigger",
    "never_matches",
    "parse_trigger",
    "segment_meaning",
    "surprises",
    "to_text",
]


def compile_trigger(source: str) -> Matches:
    """``matches(event)`` for the trigger ``source``: compile once, call for every event.

    Raises ``TriggerError`` with the column where it cannot be read.
    """
    return as_predicate(parse_trigger(source))
