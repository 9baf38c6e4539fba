"""The webhook formats that ``POST /webhooks/{format}`` takes, by name.

A new one is a file with a ``Format`` in it and a line here.
"""

from __future__ import annotations

from destination.ingress.format import Format
from destination.ingress.webhooks import (
    cloudevents,
    jitsu,
    rudderstack,
    segment,
    shopify,
    standard,
)

FORMATS: dict[str, Format] = {
    module.FORMAT.name: module.FORMAT
    for module in (segment, rudderstack, jitsu, shopify, standard, cloudevents)
}
