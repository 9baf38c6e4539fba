"""Every error that we raise, as one tree.

::

    DestinationError
    ├── Rejected        a caller's request is refused as a whole; becomes an HTTP 4xx/5xx answer
    ├── MappingError    a mapping or trigger cannot be used, or could not be resolved for one event
    │   └── TriggerError    an FQL trigger cannot be read; carries the column
    ├── Ended           a delivery has reached an outcome inside an action; not a failure, an instruction
    ├── Unanswered      a request to Klaviyo has no answer; it may or may not have been applied
    ├── NoRoom          the account's rate limit has no room soon; nothing was sent
    └── SettingsError   the operator's settings cannot be used

A message to a person says what, where, the value seen and what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from destination.delivery import Outcome


class DestinationError(Exception):
    """The root of all errors raised on purpose."""


class Rejected(DestinationError):
    """A caller's request is refused as a whole.

    ``status`` is the HTTP status of the answer, ``code`` a stable word for programs (Segment's
    rejection codes where one fits), ``message`` the sentence for a person, ``retry_after`` whole
    seconds for 429 and 503.
    """

    def __init__(
        self, status: int, code: str, message: str, *, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


class MappingError(DestinationError):
    """A mapping cannot be used, or could not be resolved for an event.

    ``path`` is the place inside the mapping, such as ``/email/@path``; ``message`` says what is
    wrong there, with the value seen.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


class TriggerError(MappingError):
    """An FQL trigger cannot be read. ``column`` counts characters from 1."""

    def __init__(self, column: int, message: str) -> None:
        super().__init__("", f"column {column}: {message}")
        self.column = column


class Ended(DestinationError):
    """A delivery reached its outcome in the middle of an action.

    Raised where the reading of an answer leaves nothing more to do, caught by whoever called the
    action, which then takes ``outcome`` as its return value.
    """

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)  # written down only if somebody asks
        self.outcome = outcome


class Unanswered(DestinationError):
    """No answer came: refused connection, DNS, TLS, reset, timeout, unreadable answer.

    The request may have been applied all the same, which is why every action is safe to run again.
    """


class NoRoom(DestinationError):
    """The account's limit for this endpoint has no room for ``after`` seconds. Nothing was sent."""

    def __init__(self, after: float, operation: str) -> None:
        super().__init__(f"no room for {operation} for {after:.1f} s")
        self.after = after
        self.operation = operation


class SettingsError(DestinationError):
    """The operator's settings cannot be used; the message says which, the value and the remedy."""
