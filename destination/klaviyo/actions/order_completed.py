"""``orderCompleted``: records an order and one event for each of its products."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from destination.action import Action, Batch, Payload
from destination.delivery import Delivered, Discard, Outcome
from destination.fields import Field
from destination.klaviyo.actions import track_event
from destination.klaviyo.actions.track_event import LIMIT
from destination.klaviyo.model import digest, short_id
from destination.klaviyo.payloads import without
from destination.sending import Account

ORDER, PRODUCT = "Order Completed", "Ordered Product"


def prepare(payload: Payload, now: float) -> Payload:
    """The payload with its profile and time checked and an id. Raises ``Ended``."""
    ready = track_event.prepare_event(payload, now)
    return {**ready, "unique_id": short_id(str(ready.get("unique_id") or digest(ready)))}


def events(payload: Payload) -> list[Payload]:
    """The order as payloads of ``trackEvent``: the order itself, then its products.

    Each product's ``unique_id`` is the order's with the line's number, so that an order sent again
    counts no product twice. A product has the order's properties under its own, and no value.
    """
    order = {
        **without(payload, ("event_name", "product_event_name", "products")),
        "metric_name": payload.get("event_name") or ORDER,
    }
    shared = without(payload["properties"], ["products"])
    metric = payload.get("product_event_name") or PRODUCT
    lines = [
        {
            **without(order, ("value", "value_currency")),
            "metric_name": metric,
            "properties": {**shared, **product},
            "unique_id": short_id(f"{payload['unique_id']}:{line}"),
        }
        for line, product in enumerate(payload.get("products") or ())
    ]
    return [order, *lines]


def perform(payload: Payload, account: Account) -> Outcome:
    """Record the order, then its products one after the other.

    The first refused event ends the row, after the other products have been sent; whatever must
    wait is sent again from the start, which counts nothing twice.
    """
    order, *products = events(payload)
    first = track_event.perform(order, account)
    if not isinstance(first, Delivered):
        return first
    refused: Outcome | None = None
    for product in products:
        outcome = track_event.perform(product, account)
        if isinstance(outcome, Discard):
            refused = refused or outcome
        elif not isinstance(outcome, Delivered):
            return outcome
    return refused or first


def perform_batch(payloads: Sequence[Payload], account: Account) -> list[Outcome]:
    """Record orders and all their products through bulk jobs.

    A row ends when all of its events have: what must wait is sent again with the whole order, which
    counts nothing twice, and the first refused event ends the row.
    """
    orders = [events(payload) for payload in payloads]
    outcomes = iter(
        track_event.perform_batch([each for order in orders for each in order], account)
    )
    return [_together(list(islice(outcomes, len(order)))) for order in orders]


def _together(outcomes: Sequence[Outcome]) -> Outcome:
    waiting = [each for each in outcomes if not isinstance(each, Delivered | Discard)]
    refused = [each for each in outcomes if isinstance(each, Discard)]
    return (*waiting, *refused, *outcomes)[0]


ACTION = Action(
    name="orderCompleted",
    title="Order Completed",
    description="Record an order, and an event for each product in it.",
    # Segment's default is every track event, which would make each an order.
    trigger='type = "track" and event = "Order Completed"',
    fields=(
        track_event.PROFILE_FIELD,
        track_event.PROPERTIES_FIELD,
        *track_event.EVENT_FIELDS,
        Field(
            "products", "object", multiple=True, description="The products, one object for each."
        ),
        Field("event_name", description="Metric of the order, Order Completed by default."),
        Field(
            "product_event_name",
            description="Metric of each product, Ordered Product by default.",
        ),
    ),
    prepare=prepare,
    perform=perform,
    quiet="backfill",
    batch=Batch(LIMIT.rows, LIMIT.bytes, LIMIT.row_bytes, perform_batch, scarce=True),
)
