"""Events put into lanes the way the server does it."""

from __future__ import annotations

import asyncio

import msgspec

from destination.runtime.intake.accept import Counting, Entry, Intake, Target, accept_client
from destination.runtime.store import Row, encode_item


def accept(url: str, *events: tuple[str, ...], item: bytes | None = None, at: int = 0) -> str:
    """Accept events given as (id, person, mapping[, lane]); the letter of each.

    ``at`` is when that was, in ms since 1970.
    """

    def entry(name: str, person: str, mapping: str, lane: str = "") -> Entry:
        body = msgspec.Raw(msgspec.json.encode({"messageId": name}))
        stored = item or encode_item(Row(body, name, "web", person, at=at))
        target = Target(lane or mapping, mapping, 0, 100)
        return Entry("default", "web", name, stored, (target,))

    async def run() -> str:
        client = accept_client(url)
        intake = Intake(client, dedupe_hours=24)
        await intake.start()
        try:
            entries = [entry(*event) for event in events]
            return await intake.store(entries, Counting("web", len(entries), 0, 0))
        finally:
            await intake.stop()
            await client.aclose()

    return asyncio.run(run())
