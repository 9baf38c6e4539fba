"""What this server can deliver to."""

from __future__ import annotations

from collections.abc import Mapping

from destination.action import Destination
from destination.klaviyo import KLAVIYO

DESTINATIONS: Mapping[str, Destination] = {KLAVIYO.name: KLAVIYO}
"""Every destination, by its name in a connection."""
