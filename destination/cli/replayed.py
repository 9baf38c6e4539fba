"""What a replay would come to, and how it goes on, for a person in a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

import click

from destination.cli.shown import count, difference
from destination.runtime.letters.replays import Delivered, Sketch

SHOWN = 10
"""Letters that are shown one by one; the sums count all."""

_ENDS = {
    "sent": "would be sent",
    "refused": "would be dead again",
    "mapping_missing": "would wait: their mapping is not there",
    "mapping_disabled": "would wait: their mapping is disabled",
    "version_missing": "stay: the version that failed is not on record",
}


def as_text(sketches: Sequence[Sketch], known: Delivered) -> str:
    """Some letters one by one, then sums, then what to be careful about."""
    lines = [line for sketch in sketches[:SHOWN] for line in _lines(sketch)]
    if len(sketches) > SHOWN:
        lines.append(f"... and {len(sketches) - SHOWN:,} more; --format json lists them all")
    sums = Counter((sketch.mapping, sketch.end, sketch.code) for sketch in sketches)
    for (mapping, end, code), number in sorted(sums.items()):
        reason = f" ({code})" if code else ""
        lines.append(f"{mapping}: {number:,} {_ENDS[end]}{reason}")
    lines += _cautions(sketches, known)
    lines.append(f"{count(len(sketches), 'dead letter')}; nothing was sent")
    return "\n".join(lines)


def _lines(sketch: Sketch) -> Iterator[str]:
    yield f"{sketch.letter}"
    yield f"  failed: {sketch.failed}; {_ENDS[sketch.end].replace('stay', 'stays')}"
    if sketch.message:
        yield f"    {sketch.code}: {sketch.message}"
    for request in sketch.requests:
        yield f"    {request['method']} {request['path']}"
    if sketch.changes is None:
        yield "    what has changed is not known: the version that failed is not on record"
    for change in sketch.changes or ():
        yield f"    {change.kind} since it failed:"
        diff = difference(change.before or {}, change.after or {}, ("then", "now"))
        yield from (f"      {line}" for line in diff[2:])


def _cautions(sketches: Sequence[Sketch], known: Delivered) -> Iterator[str]:
    stale = sum(sketch.stale for sketch in sketches)
    if stale:
        yield (
            f"careful: for {count(stale, 'letter')} something newer of the same person has been"
            " delivered by the same mapping, which the replay may overwrite"
        )
    if known.since and any(not sketch.quiet for sketch in sketches):
        when = datetime.fromtimestamp(known.since, UTC).strftime("%Y-%m-%d %H:%M:%S")
        yield f"deliveries before {when} UTC are not remembered; newer ones before it are not seen"
    unwanted = sum(sketch.unwanted for sketch in sketches)
    if unwanted:
        yield (
            f"careful: the trigger would not take {count(unwanted, 'event')} any more; they are"
            " sent all the same, discard them if that is not meant"
        )
    quiet = sum(sketch.quiet for sketch in sketches)
    if quiet:
        yield f"{count(quiet, 'event')} of more than an hour ago would set nothing off; see --live"


def progress(steps: Iterable[int | None], total: int) -> int:
    """Follow a replay to its end; how many letters were moved."""
    moved = waiting = 0
    with click.progressbar(length=total, label="replaying", hidden=total < SHOWN) as bar:
        for step in steps:
            moved += step or 0
            waiting = waiting + 1 if step is None else 0
            bar.update(step or 0)
            if waiting == 50:
                click.echo("\nthe lane is full; letters follow as it empties", err=True)
    return moved
