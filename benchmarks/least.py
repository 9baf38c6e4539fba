"""The least that taking a batch in costs: ``python -m benchmarks.least``.

Prints CPU microseconds an event, the best of several rounds over batches of 100 tracks of 1.3 KB, of the
parts that are one call into C each. Whatever reads, remembers and stores events one by one needs them;
a server's own steps come on top.
"""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Callable, Sequence

import msgspec

from benchmarks.events import made, templates

ROUNDS = 9
BATCH = 100
BATCHES = 200

_batch = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class _Look(msgspec.Struct):
    """What has to be known of an event before it is stored."""

    messageId: str  # noqa: N815 the event's own names
    type: str
    userId: str | None = None  # noqa: N815
    event: str | None = None
    properties: msgspec.Raw = msgspec.Raw(b"null")


class _Row(msgspec.Struct):
    event: msgspec.Raw
    id: str


_look = msgspec.json.Decoder(_Look).decode


def parts(events: Sequence[bytes], bodies: Sequence[bytes]) -> dict[str, Callable[[], object]]:
    """By name, what is done to all events."""
    raws = [msgspec.Raw(event) for event in events]
    rows = [b"segment/track-to-event\n" + event for event in events]
    return {
        "find the events": lambda: [_batch(body) for body in bodies],
        "look into each": lambda: [_look(event) for event in events],
        "UTF-8": lambda: [body.decode() for body in bodies],
        "count brackets": lambda: [each.count(b"{") + each.count(b"[") for each in events],
        "dedupe id": lambda: [
            hashlib.blake2b(b"0123456789abcdef", digest_size=16).digest() for _ in events
        ],
        "person's digest": lambda: [
            hashlib.blake2b(b"0123456789abcdef", digest_size=12).hexdigest() for _ in events
        ],
        "checksum": lambda: [zlib.crc32(each[-600:]) for each in events],
        "write the row": lambda: [_encode(_Row(raw, "0123456789abcdef")) for raw in raws],
        "pack for Redis": lambda: [
            b"".join([b"$%d\r\n%b\r\n" % (len(row), row) for row in rows[start : start + BATCH]])
            for start in range(0, len(rows), BATCH)
        ],
    }


def main() -> None:
    """Print one line a part, and their sum."""
    made_up = templates(made("track"))
    events = [
        made_up[number % len(made_up)].replace(b"%(id)s", b"id-%d" % number)
        for number in range(BATCH * BATCHES)
    ]
    bodies = [
        b"[%b]" % b",".join(events[start : start + BATCH]) for start in range(0, len(events), BATCH)
    ]
    total = 0.0
    for name, work in parts(events, bodies).items():
        best = min(_seconds(work) for _ in range(ROUNDS)) / len(events) * 1e6
        total += best
        print(f"{name:24}{best:8.2f}")
    print(f"{'all':24}{total:8.2f} µs an event, {1e6 / total:,.0f} events/s")


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
