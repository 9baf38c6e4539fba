"""Every operation that is imitated, by its id."""

from __future__ import annotations

from collections.abc import Mapping

from destination.sandbox.calls import (
    accounts,
    aggregates,
    campaign_messages,
    campaigns,
    consent,
    events,
    imports,
    lists,
    metrics,
    profiles,
    properties,
    reports,
    sending,
    suppressions,
    tags,
    templates,
)
from destination.sandbox.calls.call import Handler

HANDLERS: Mapping[str, Handler] = {
    **accounts.HANDLERS,
    **profiles.HANDLERS,
    **lists.HANDLERS,
    **events.HANDLERS,
    **metrics.HANDLERS,
    **properties.HANDLERS,
    **imports.HANDLERS,
    **consent.HANDLERS,
    **suppressions.HANDLERS,
    **templates.HANDLERS,
    **campaigns.HANDLERS,
    **campaign_messages.HANDLERS,
    **sending.HANDLERS,
    **reports.HANDLERS,
    **aggregates.HANDLERS,
    **tags.HANDLERS,
}
