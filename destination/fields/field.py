"""The record that describes one field of an action."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an action, in the terms of Segment's action fields.

    ``type`` is one of ``string text password number integer boolean datetime object``. ``format``
    is ``email``, ``uri`` or empty. ``minimum`` and ``maximum`` bound the length of a string (code
    points) or the value of a number; 0 bounds nothing, as at Segment. ``multiple`` makes it a list
    of ``type``, and then the other rules are about its items. ``properties`` are the sub-fields of
    an object; with ``additional`` it may hold others as well; an object without ``properties``
    holds anything. ``null`` allows null.
    """

    name: str
    type: str = "string"
    description: str = ""
    required: bool = False
    format: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    multiple: bool = False
    properties: tuple[Field, ...] = ()
    additional: bool = False
    null: bool = False
