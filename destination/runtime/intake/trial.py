"""Whether any mapping can make something of an event, found out before it is accepted.

For callers who hear of each row: what would be a dead letter is an error in their own tool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from destination.errors import Ended
from destination.event import Event
from destination.ingress.normalise import Malformed
from destination.pipeline import Route, plan
from destination.runtime.intake.gate import Usable
from destination.runtime.logs import log


def trial(usable: Usable, now: float) -> Callable[[Event], None]:
    """A check that raises ``Malformed`` for an event of which no mapping can make a delivery.

    One mapping that can is enough: what the others make of the event shows in the dead letters.
    """

    def check(event: Event) -> None:
        wanting = [
            usable.routes[mapping.name]
            for mapping in usable.mappings
            if mapping.enabled and mapping.matches(event.body)
        ]
        if not wanting:
            raise Malformed(
                "unmatched",
                "no mapping wants this row: enable one whose trigger takes it, see"
                " docs/callers/rows.md",
            )
        _try(event, wanting, now)

    return check


def _try(event: Event, wanting: Sequence[Route], now: float) -> None:
    reasons: list[Malformed] = []
    for route in wanting:
        try:
            plan(event.body, route, now)
        except Ended as ended:
            code = getattr(ended.outcome, "code", "refused")
            message = getattr(ended.outcome, "message", "")
            reasons.append(Malformed(code, f"{route.mapping.name}: {message}"))
        except Exception:  # noqa: BLE001 a fault of ours is the worker's to tell, not the row's
            log.exception("trial_failed", mapping=route.mapping.name)
            return
        else:
            return
    raise reasons[0]
