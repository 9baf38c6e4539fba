"""Every Redis key and script: what stands where, and how to run the scripts.

Keys (``destination:`` is the prefix; C a connection, L a lane, M a mapping, P a person, J a job):

======================================  ======  =================================================
key                                     type    meaning
======================================  ======  =================================================
``destination:due``                     zset    lane (``C<TAB>L``) -> ms at which it wants a worker
``destination:lanes``                   set     every lane that was ever used
``destination:sources``                 hash    ``source|field`` -> count
``destination:C:seen:W:B``              hash    dedupe ids of window W, bucket B (a field each, with
                                                a digest of what the event said)
``destination:C:lane:L``                list    rows to deliver, first accepted first
``destination:C:lease:L``               string  token of the worker that has the lane, with a TTL
``destination:C:handed:L``              string  a job for the lane is on its way to a worker, with a
                                                TTL
``destination:C:hold:L``                string  reason for which the lane waits, with a TTL
``destination:C:patient:L``             string  rows that find the lane idle wait, with a TTL
``destination:C:parked:L``              zset    person -> ms at which their rows may go on (inf: when
                                                their job at Klaviyo has ended)
``destination:C:chain:L:P``             list    rows of a parked person, in order
``destination:C:jobs:L``                zset    job at Klaviyo -> ms of the next poll
``destination:C:job:L:J``               list    rows submitted with a job
``destination:C:keys:L:J``              list    what each of them was submitted under
``destination:C:counts``                hash    ``M|field`` -> count
``destination:C:dead``                  hash    id -> dead letter
``destination:C:dead:order``            zset    id -> ms at which it died
``destination:C:deliveries``            list    the last deliveries, newest first, no personal data
                                                (see ``recent_deliveries.py``)
``destination:C:versions``              hash    version of a mapping -> its text, to be replayed with
``destination:C:recorded``              list    the last events, newest first, where they are recorded
``destination:C:conflicts``             list    events under an id that was known, newest first
``destination:C:no``                    zset    keyed digest of an address -> when it was withdrawn
``destination:C:erased``                zset    keyed digest of an identifier or event -> when it was
                                                erased
``destination:digest-key``              string  the key of these digests
``destination:C:sent:D``                string  digest of what was delivered last, D of mapping and
                                                person, for a day
``destination:C:begun``                 hash    lane -> workers that took it since one lived on
``destination:C:missing``               zset    what rows wait for -> unix time until it is told
``destination:C:halt``                  hash    the connection is paused: reason, since, probe_at
``destination:alerts:firing``           hash    alert -> since when (ms) it fires, and what it is
``destination:alerts:notices``          list    alerts to be told, first in front
``destination:alerts:samples``          list    what was delivered at past looks, newest first
``destination:alerts:turn``             string  a process looks for alerts, with a TTL
``destination:beats``                   hash    server or worker -> ms at which one was heard last
``destination:erasures``                list    whom to erase, first asked first
``destination:erasures:turn``           string  a process erases, with a TTL
``destination:A:calls:O``               zset    rate limit of operation O of account A (a key's hash)
``destination:A:pause:O``               string  operation O waits (Retry-After), with a TTL
``destination:A:left:O``                string  calls that others leave of a window, with a TTL
``destination:A:probe:O``               string  the one call that goes after a pause, with a TTL
``destination:A:known:K``               string  what ``once`` remembers, with a TTL
======================================  ======  =================================================

A lane is named after the mapping whose rows stand in it, or after what the actions that share it
must keep in order (``lists``, ``consent``). A row is its mapping's name, a line feed and a JSON
``Row``. Hash buckets of up to 128 short fields are one small block of memory in
Redis: about 26 bytes per dedupe id, where a key of its own takes 100 and more.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import resources
from typing import Any

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from destination.event import decode
from destination.ingress.normalise import Malformed
from destination.ingress.sent import Sent

PREFIX = "destination:"
SEEN_BUCKETS = 4096
SHORT_WAIT = 2.0
"""Seconds of a wait for company that only saves calls: where they are ample, nobody waits. A longer
one is somebody's wish and is kept.
"""

_WHEN_FULL = frozenset(
    (
        "begin",
        "commit",
        "release",
        "renew",
        "dispatch",
        "replay",
        "acquire",
        "answered",
        "alert",
        "beat",
        "turn",
        "seize",
        "erase",
        "keep",
        "remember",
        "sent",
    )
)
"""Scripts that drain, or that say so: they must run when Redis has no memory left."""


class Row(msgspec.Struct, omit_defaults=True):
    """A delivery that waits: the event and what has been tried.

    ``person`` is a digest of who it is about: it stands in key names.

    ``version`` is that of the mapping to use, empty for the one in force; ``live`` has a replay set
    off what a new event sets off.

    ``at`` is when it was accepted, in ms since 1970 by the server's clock; 0 where that is unknown.

    ``event`` is canonical, or as it was sent: then ``sent`` is there, and ``body`` reads both.

    ``mapping`` is not in the JSON but before it. ``since`` is the unix time of the first failed attempt, 0 before any; ``attempts`` counts those
    that spend the retry budget.
    """

    event: msgspec.Raw
    id: str
    source: str
    person: str
    attempts: int = 0
    since: float = 0.0
    replayed: int = 0
    version: str = ""
    live: bool = False
    at: int = 0
    sent: Sent | None = None
    mapping: str = ""

    def body(self) -> Any:
        """The canonical event, as JSON values; what cannot be read is its text."""
        try:
            return self.sent.body(self.event) if self.sent else decode(self.event)
        except (ValueError, RecursionError, Malformed):  # msgspec's errors are ValueErrors
            return bytes(self.event).decode("utf-8", "replace")

    def searched(self) -> Any:
        """As ``body``, for who looks for a person in it: what no double holds is a text there."""
        body = self.body()
        if not self.sent or not isinstance(body, str):
            return body
        message = json.loads(body, parse_int=str, parse_float=str)
        try:
            return self.sent.completed(message)
        except Malformed:  # by the rules of another version
            return message

    @property
    def route(self) -> str:
        """The name of its route: the mapping, with the version where one is asked for."""
        return f"{self.mapping}@{self.version}" if self.version else self.mapping


class DeadLetter(msgspec.Struct, omit_defaults=True):
    """A delivery that ended without being delivered, with all that is needed to understand it."""

    id: str
    mapping: str
    lane: str
    action: str
    version: str
    code: str
    message: str
    time: float
    row: Row
    field: str = ""
    status: int | None = None
    attempts: int = 0


_rows = msgspec.json.Decoder(Row)
_letters = msgspec.json.Decoder(DeadLetter)
_encode = msgspec.json.Encoder().encode


def encode_item(row: Row) -> bytes:
    """A row without its mapping, as it is handed to the accept script."""
    return _encode(row)


def encode_row(row: Row) -> bytes:
    """A row as it stands in a lane."""
    bare = msgspec.structs.replace(row, mapping="")
    return row.mapping.encode() + b"\n" + _encode(bare)


def decode_row(text: bytes) -> Row:
    """Read a row of a lane. What cannot be read becomes a row whose event is its text."""
    if text.startswith(b"{"):  # a job's row of an earlier version, behind its key
        text = text.partition(b"\n")[2]
    mapping, _, item = text.partition(b"\n")
    try:
        row = _rows.decode(item)
    except ValueError:  # msgspec.DecodeError is one
        digest = hashlib.blake2b(text, digest_size=8).hexdigest()
        shown = text.decode("utf-8", "replace")
        row = Row(msgspec.Raw(_encode(shown)), f"unreadable-{digest}", "", digest)
    row.mapping = mapping.decode("utf-8", "replace")
    return row


def encode_letter(letter: DeadLetter) -> bytes:
    """A dead letter as it stands in Redis."""
    return _encode(letter)


def decode_letter(text: bytes) -> DeadLetter:
    """Read a dead letter. Raises ``msgspec.DecodeError``."""
    return _letters.decode(text)


def dedupe_digest(source: str, message_id: str) -> bytes:
    """The 16-byte id under which an event of a source is remembered."""
    return hashlib.blake2b(f"{source}\0{message_id}".encode(), digest_size=16).digest()


def dedupe_place(source: str, message_id: str) -> tuple[str, bytes]:
    """Bucket and id under which an event of a source is remembered; ``accept.lua`` finds the
    bucket by the same rule.
    """
    digest = dedupe_digest(source, message_id)
    return str(int.from_bytes(digest[:4], "big") % SEEN_BUCKETS), digest


def person_key(person: str) -> str:
    """A person as they may stand in a key's name: told apart, and not told."""
    return hashlib.blake2b(person.encode(), digest_size=12).hexdigest()


def missing_key(connection: str) -> str:
    """Where stands what rows of a connection wait for that a person must put right."""
    return f"{PREFIX}{connection}:missing"


def account_of(key: str) -> str:
    """Name of a Klaviyo account in keys: a hash, since accounts are told apart by their secret."""
    return hashlib.blake2b(key.encode(), digest_size=8).hexdigest()


@cache
def script_text(name: str, major: int) -> str:
    """The Lua of ``lua/NAME.lua``, allowed to run on a full Redis where that can be said (>= 7)."""
    text = resources.files("destination.runtime").joinpath("lua", f"{name}.lua").read_text("utf-8")
    if name in _WHEN_FULL and major >= 7:
        return "#!lua flags=allow-oom\n" + text
    return text


def script_when_full(client: redis.Redis, name: str) -> Any:
    """One of the scripts that run on a full Redis, ready to run on one synchronous client."""
    return client.register_script(script_text(name, _major(client)))


def _major(client: redis.Redis) -> int:
    info: Any = client.info("server")
    return int(str(info["redis_version"]).split(".")[0])


class Scripts:
    """The scripts, ready to run on one synchronous client."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        major = _major(client)
        self._scripts = {
            name: client.register_script(script_text(name, major))
            for name in (
                "begin",
                "commit",
                "release",
                "renew",
                "dispatch",
                "sweep",
                "counts",
                "replay",
                "acquire",
                "answered",
                "alert",
                "beat",
                "turn",
                "seize",
                "erase",
            )
        }

    def run(self, name: str, args: list[Any], keys: list[str] | None = None) -> Any:
        """Run ``lua/NAME.lua``."""
        return self._scripts[name](keys=keys or [], args=args)


def connect(url: str) -> redis.Redis:
    """A client for workers and commands.

    It repeats nothing by itself: a write whose answer was lost may have been applied, and to
    apply a trim twice would lose rows (redis-py's default is to repeat up to ten times).
    """
    return redis.Redis.from_url(
        url,
        socket_timeout=10,
        socket_connect_timeout=5,
        health_check_interval=15,
        retry=Retry(NoBackoff(), 0),
    )
