"""What is wrong with a payload, said per field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from destination.errors import DestinationError

_SHOWN: Final = 5
_SEEN: Final = 60


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One field that cannot be sent as it is.

    ``path`` is the place in the payload (``profile.email``, ``products[2].price``, empty for the
    payload itself); ``message`` says what was seen and what is wanted; ``kind`` is one of ``type
    format required choice length range``.
    """

    path: str
    message: str
    kind: str


class PayloadError(DestinationError):
    """A payload breaks the rules of its fields. ``problems`` are all of them, in payload order."""

    def __init__(self, problems: tuple[FieldProblem, ...]) -> None:
        lines = [f"{p.path or 'payload'}: {p.message}" for p in problems[:_SHOWN]]
        if len(problems) > _SHOWN:
            lines.append(f"and {len(problems) - _SHOWN} more")
        super().__init__("; ".join(lines))
        self.problems = problems


def seen(value: Any) -> str:
    """A value as a message shows it: a text shortened, a container only by its size."""
    if isinstance(value, str):
        return repr(value if len(value) <= _SEEN else value[:_SEEN] + "…")
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"an object of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and value.bit_length() > 8 * _SEEN // 3:
        return "a huge number"
    return repr(value)
