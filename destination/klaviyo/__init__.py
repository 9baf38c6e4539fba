"""Klaviyo: everything that is known about it, as pure functions."""

from __future__ import annotations

from collections.abc import Mapping

from destination.action import Destination
from destination.klaviyo.actions import ACTIONS
from destination.klaviyo.limits import windows
from destination.klaviyo.rehearsal import probe, rehearse
from destination.klaviyo.verdict import verdict

MEDIA_TYPE = "application/vnd.api+json"


def headers(key: str, revision: str) -> Mapping[str, str]:
    """The headers of every request: authorisation by private key, API revision, media types."""
    return {
        "authorization": f"Klaviyo-API-Key {key}",
        "revision": revision,
        "accept": MEDIA_TYPE,
        "content-type": MEDIA_TYPE,
    }


KLAVIYO = Destination(
    name="klaviyo",
    actions={action.name: action for action in ACTIONS},
    headers=headers,
    windows=windows,
    verdict=verdict,
    probe=probe,
    rehearse=rehearse,
)
