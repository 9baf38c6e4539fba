"""``MISSING``: what a mapping gives where there is nothing, as opposed to null."""

from __future__ import annotations

from typing import Final, Literal, final


@final
class Missing:
    """The type of ``MISSING``. It is false, equal only to itself and never part of a result."""

    __slots__ = ()

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()
"""No value: a path that leads nowhere. An object member that is missing is left out of the
object; an item of a list that is missing is null there, so that the others keep their places."""
