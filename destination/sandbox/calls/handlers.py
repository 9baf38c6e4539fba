"""Every operation that is imitated, by its id."""

from __future__ import annotations

from collections.abc import Mapping

from destination.sandbox.calls import accounts, events, imports, lists, profiles
from destination.sandbox.calls.call import Handler

HANDLERS: Mapping[str, Handler] = {
    **accounts.HANDLERS,
    **profiles.HANDLERS,
    **lists.HANDLERS,
    **events.HANDLERS,
    **imports.HANDLERS,
}
