"""Every operation that is imitated, by its id."""

from __future__ import annotations

from collections.abc import Mapping

from destination.sandbox.calls import (
    accounts,
    consent,
    events,
    imports,
    lists,
    profiles,
    suppressions,
)
from destination.sandbox.calls.call import Handler

HANDLERS: Mapping[str, Handler] = {
    **accounts.HANDLERS,
    **profiles.HANDLERS,
    **lists.HANDLERS,
    **events.HANDLERS,
    **imports.HANDLERS,
    **consent.HANDLERS,
    **suppressions.HANDLERS,
}
