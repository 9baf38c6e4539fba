"""Lanes in a real Redis: what is accepted stays until it is recorded as ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from destination.runtime.counts import imbalance, read_counts
from destination.runtime.delivery.lanes import Lane, LeaseLost, Record
from destination.runtime.intake.accept import Counting, Entry, Intake, Target, accept_client
from destination.runtime.letters.dead_letters import DeadLetters
from destination.runtime.store import PREFIX, DeadLetter, Row, Scripts, decode_row, encode_item

NOTHING = Counting("web", 0, 0, 0)


def row(name: str, person: str = "u-1") -> Row:
    """A row for an event called ``name``."""
    return Row(msgspec.Raw(b'{"messageId":"%s"}' % name.encode()), name, "web", person, mapping="m")


def entry(name: str, *mappings: str, wait_ms: int = 0, person: str = "u-1") -> Entry:
    """An event for these mappings."""
    targets = tuple(Target(mapping, mapping, wait_ms, 100) for mapping in mappings or ("m",))
    return Entry("acme", "web", name, encode_item(row(name, person)), targets)


def store(url: str, *groups: list[Entry]) -> list[str]:
    """Store groups of entries as concurrent requests would; the letters of each."""

    async def run() -> list[str]:
        client = accept_client(url)
        intake = Intake(client, dedupe_hours=24)
        await intake.start()
        try:
            return await asyncio.gather(
                *(intake.store(group, Counting("web", len(group), 0, 0)) for group in groups)
            )
        finally:
            await intake.stop()
            await client.aclose()

    return asyncio.run(run())


def lane(scripts: Scripts, mapping: str = "m", lease: float = 30) -> Lane:
    """A worker's view of a lane."""
    return Lane(scripts, "acme", mapping, lease=lease)


def taken(scripts: Scripts, mapping: str = "m", lease: float = 30) -> Lane:
    """A lane that is ours."""
    mine = lane(scripts, mapping, lease)
    assert mine.begin().state == "taken"
    return mine


def ids(rows: Iterable[Row]) -> list[str]:
    """The ids of rows."""
    return [each.id for each in rows]


def end(read: list[Row], state: str = "delivered") -> Record:
    """A record that ends these rows."""
    record = Record(taken=len(read))
    record.end("m", state, len(read))
    return record


def due(client: redis.Redis, mapping: str = "m") -> float | None:
    """When the lane is due, in ms."""
    score = client.zscore(f"{PREFIX}due", f"acme\t{mapping}")
    return None if score is None else float(score)


def now_ms(client: redis.Redis) -> float:
    """Redis' own clock."""
    seconds, micros = client.time()
    return float(seconds * 1000 + micros / 1000)


def test_an_accepted_event_stands_in_the_lane_of_each_mapping(
    redis_url: str, scripts: Scripts
) -> None:
    """One event, two mappings, two rows."""
    assert store(redis_url, [entry("e1", "m", "n")]) == ["A"]
    assert ids(taken(scripts, "m").read(10)) == ["e1"]
    assert ids(taken(scripts, "n").read(10)) == ["e1"]


def test_the_same_event_posted_again_is_a_duplicate_and_not_stored(
    redis_url: str, scripts: Scripts
) -> None:
    """In one request, in concurrent requests and in a later one."""
    letters = store(redis_url, [entry("e1"), entry("e1")], [entry("e1")])
    assert sorted("".join(letters)) == ["A", "D", "D"]
    assert store(redis_url, [entry("e1")]) == ["D"]
    assert len(taken(scripts).read(10)) == 1
    counts = read_counts(scripts, ["acme"])
    assert counts["sources"]["web"] == {
        "received": 4,
        "accepted": 1,
        "duplicate": 3,
        "unmatched": 0,
        "refused": 0,
        "conflicting": 0,
    }
    assert imbalance(counts) == []


def test_rows_leave_the_lane_only_when_they_are_recorded(redis_url: str, scripts: Scripts) -> None:
    """A worker that dies after reading has changed nothing."""
    store(redis_url, [entry(f"e{i}") for i in range(5)])
    first = taken(scripts)
    assert ids(first.read(3)) == ["e0", "e1", "e2"]
    first.release()
    second = taken(scripts)
    read = second.read(3)
    second.commit(end(read))
    assert ids(second.read(10)) == ["e3", "e4"]
    counts = read_counts(scripts, ["acme"])["connections"]["acme"]["mappings"]["m"]
    assert (counts["delivered"], counts["pending"]) == (3, 2)


def test_a_lane_has_one_worker_at_a_time(redis_url: str, scripts: Scripts) -> None:
    """The second worker is told so."""
    store(redis_url, [entry("e1")])
    taken(scripts)
    assert lane(scripts).begin().state == "leased"


def test_a_worker_that_lost_its_lease_can_record_nothing(redis_url: str, scripts: Scripts) -> None:
    """A zombie that wakes up late must not trim what another worker reads."""
    store(redis_url, [entry("e1"), entry("e2")])
    zombie = taken(scripts)
    read = zombie.read(2)
    scripts.client.delete(f"{PREFIX}acme:lease:m")
    heir = taken(scripts)
    with pytest.raises(LeaseLost):
        zombie.commit(end(read))
    zombie.release()
    assert lane(scripts).begin().state == "leased"
    assert ids(heir.read(5)) == ["e1", "e2"]


def test_an_idle_lane_is_not_due_and_a_busy_one_is(redis_url: str, scripts: Scripts) -> None:
    """What is left decides."""
    client = scripts.client
    store(redis_url, [entry("e1")])
    mine = taken(scripts)
    mine.commit(end(mine.read(5)))
    mine.release()
    assert due(client) is None
    store(redis_url, [entry("e2")])
    at = due(client)
    assert at is not None
    assert at <= now_ms(client)


def test_a_lane_waits_for_its_batch_to_fill(redis_url: str, scripts: Scripts) -> None:
    """Where the wait is long: the first event is due after it, a full batch at once."""
    client = scripts.client
    store(redis_url, [entry("e1", wait_ms=60_000)])
    at = due(client)
    assert at is not None
    assert at > now_ms(client) + 50_000
    store(redis_url, [entry(f"f{i}", wait_ms=60_000) for i in range(99)])
    at = due(client)
    assert at is not None
    assert at <= now_ms(client)


def test_a_short_wait_only_saves_calls(redis_url: str, scripts: Scripts) -> None:
    """An idle lane is due at once, unless calls are scarce: then its rows wait for company."""
    client = scripts.client
    store(redis_url, [entry("e1", wait_ms=2_000)])
    at = due(client)
    assert at is not None
    assert at <= now_ms(client)
    mine = taken(scripts)
    record = end(mine.read(1))
    record.patient(60)
    mine.commit(record)
    mine.release()
    assert due(client) is None
    store(redis_url, [entry("e2", wait_ms=2_000)])
    at = due(client)
    assert at is not None
    assert at > now_ms(client) + 1_000


def test_new_events_do_not_shorten_a_pause(redis_url: str, scripts: Scripts) -> None:
    """A full lane that was told to wait still waits."""
    client = scripts.client
    store(redis_url, [entry("e1")])
    mine = taken(scripts)
    record = Record()
    record.hold(60, "throttled")
    mine.commit(record)
    mine.release()
    store(redis_url, [entry(f"f{i}") for i in range(150)])
    at = due(client)
    assert at is not None
    assert at > now_ms(client) + 50_000
    assert lane(scripts).begin().state == "held"


def test_a_lost_job_costs_time_only(redis_url: str, scripts: Scripts) -> None:
    """A lane that was handed out is due again after the visibility timeout."""
    store(redis_url, [entry("e1")])
    assert scripts.run("dispatch", [PREFIX, 10, 60_000]) == [b"acme\tm"]
    assert scripts.run("dispatch", [PREFIX, 10, 60_000]) == []
    scripts.client.zadd(f"{PREFIX}due", {"acme\tm": 0})
    assert scripts.run("dispatch", [PREFIX, 10, 60_000]) == [b"acme\tm"]


def test_a_lane_on_its_way_to_a_worker_is_not_handed_out_for_every_row(
    redis_url: str, client: redis.Redis, scripts: Scripts
) -> None:
    """A flood would put dozens of jobs for one lane in front of everybody else's."""
    hand_out = [PREFIX, 10, 60_000]
    store(redis_url, [entry("e1")])
    assert scripts.run("dispatch", hand_out) == [b"acme\tm"]
    store(redis_url, [entry("e2")])
    assert scripts.run("dispatch", hand_out) == []
    assert 0 < client.pttl(f"{PREFIX}acme:handed:m") <= 5_000
    mine = taken(scripts)
    assert len(mine.read(9)) == 2
    mine.release()
    assert scripts.run("dispatch", hand_out) == [b"acme\tm"]


def test_a_lane_whose_job_is_lost_is_handed_out_for_the_next_row(
    redis_url: str, client: redis.Redis, scripts: Scripts
) -> None:
    """As soon as the job had time enough."""
    hand_out = [PREFIX, 10, 60_000]
    store(redis_url, [entry("e1")])
    assert scripts.run("dispatch", hand_out) == [b"acme\tm"]
    client.delete(f"{PREFIX}acme:handed:m")  # its time is over
    store(redis_url, [entry("e2")])
    assert scripts.run("dispatch", hand_out) == [b"acme\tm"]


def test_the_sweeper_finds_a_lane_that_nothing_would_wake(redis_url: str, scripts: Scripts) -> None:
    """Whatever took it out of the due set."""
    store(redis_url, [entry("e1")])
    scripts.client.delete(f"{PREFIX}due")
    assert scripts.run("sweep", [PREFIX]) == 1
    assert scripts.run("dispatch", [PREFIX, 10, 60_000]) == [b"acme\tm"]


def test_rows_put_back_keep_their_order(redis_url: str, scripts: Scripts) -> None:
    """Those that must wait stand before those that were not read."""
    store(redis_url, [entry(f"e{i}") for i in range(4)])
    mine = taken(scripts)
    read = mine.read(3)
    record = Record(taken=3)
    record.end("m", "delivered")
    record.front(read[1])
    record.front(read[2])
    mine.commit(record)
    assert ids(mine.read(10)) == ["e1", "e2", "e3"]


def test_a_parked_person_is_overtaken_by_others_and_not_by_themselves(
    redis_url: str, scripts: Scripts
) -> None:
    """A row that waits holds up later rows of its person only, and goes first in the end."""
    client = scripts.client
    store(redis_url, [entry("a1", person="ann"), entry("b1", person="bob")])
    mine = taken(scripts)
    read = mine.read(2)
    record = Record(taken=2)
    record.park(read[0], 60, first=True)
    record.end("m", "delivered")
    mine.commit(record)
    store(redis_url, [entry("a2", person="ann"), entry("b2", person="bob")])
    assert mine.parked(["ann", "bob"]) == {"ann"}
    read = mine.read(10)
    assert ids(read) == ["a2", "b2"]
    record = Record(taken=2)
    record.park(read[0], 0)
    record.end("m", "delivered")
    mine.commit(record)
    mine.release()
    at = due(client)
    assert at is not None
    assert at > now_ms(client) + 50_000
    assert read_counts(scripts, ["acme"])["connections"]["acme"]["pending"] == 2
    client.zadd(f"{PREFIX}acme:parked:m", {"ann": 0})
    mine = taken(scripts)
    assert ids(mine.read(10)) == ["a1", "a2"]
    assert mine.parked(["ann"]) == set()


def test_rows_of_a_job_are_pending_and_their_person_waits(redis_url: str, scripts: Scripts) -> None:
    """Until the job has ended; then what waited goes on."""
    client = scripts.client
    store(redis_url, [entry("a1", person="ann")])
    mine = taken(scripts)
    read = mine.read(1)
    record = Record(taken=1)
    record.sent("job-1", read[0], b'{"row":0}', 0)
    record.poll("job-1", 60)
    mine.commit(record)
    assert mine.parked(["ann"]) == {"ann"}
    assert read_counts(scripts, ["acme"])["connections"]["acme"]["pending"] == 1
    store(redis_url, [entry("a2", person="ann")])
    record = Record(taken=1)
    record.follow(mine.read(1)[0], 0)
    mine.commit(record)
    mine.release()
    client.zadd(f"{PREFIX}acme:jobs:m", {"job-1": 0})
    mine = lane(scripts)
    assert mine.begin().jobs == ("job-1",)
    ((key, submitted),) = mine.submitted("job-1")
    assert (key, submitted.id) == (b'{"row":0}', "a1")
    record = Record(job="job-1")
    record.end("m", "delivered")
    record.free(["ann"])
    mine.commit(record)
    mine.release()
    mine = taken(scripts)
    assert ids(mine.read(5)) == ["a2"]
    counts = read_counts(scripts, ["acme"])
    assert counts["connections"]["acme"]["mappings"]["m"]["delivered"] == 1
    assert imbalance(counts) == []


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("pqr"), st.sampled_from(("ended", "job-1", "job-2", "follow", "tried"))
        ),
        min_size=1,
        max_size=12,
    ),
    st.integers(0, 3),
)
def test_rows_that_go_on_as_they_are_keep_their_order_wherever_they_go(
    redis_url: str, scripts: Scripts, fates: list[tuple[str, str]], left: int
) -> None:
    """Whatever is removed or written anew between them: in jobs, behind their person, in the lane."""
    scripts.client.flushall()
    names = [f"e{number}" for number in range(len(fates) + left)]
    people = [person for person, _fate in fates] + ["p"] * left
    store(
        redis_url,
        [entry(name, person=person) for name, person in zip(names, people, strict=True)],
    )
    mine = taken(scripts)
    record = Record(taken=len(fates))
    for place, (row, (_person, fate)) in enumerate(zip(mine.read(len(fates)), fates, strict=True)):
        if fate == "ended":
            record.end("m", "delivered")
        elif fate == "follow":
            record.follow(row, place)
        elif fate == "tried":
            record.park(msgspec.structs.replace(row, attempts=1), 0)
        else:
            record.sent(fate, row, row.id.encode(), place)
    mine.commit(record)

    def found(place: str) -> list[str]:
        rows: Any = scripts.client.lrange(f"{PREFIX}acme:{place}", 0, -1)
        return [decode_row(text).id for text in rows]

    def expected(*wanted: str, person: str = "") -> list[str]:
        return [
            name
            for name, (whose, fate) in zip(names, fates, strict=False)
            if fate in wanted and person in {"", whose}
        ]

    for job in ("job-1", "job-2"):
        assert found(f"job:m:{job}") == expected(job)
        keyed = [(key.decode(), row.id) for key, row in mine.submitted(job)]
        assert keyed == [(name, name) for name in expected(job)]
    for person in "pqr":
        assert found(f"chain:m:{person}") == expected("follow", "tried", person=person)
    assert found("lane:m") == names[len(fates) :]
    assert mine.parked("pqr") == {whose for whose, fate in fates if fate != "ended"}
    mine.release()


def test_a_job_that_an_earlier_version_submitted_is_read(redis_url: str, scripts: Scripts) -> None:
    """Its keys stood before its rows; the lane stood still for it."""
    store(redis_url, [entry("a1")])
    client: Any = scripts.client
    (row_text,) = client.lrange(f"{PREFIX}acme:lane:m", 0, -1)
    client.rpush(f"{PREFIX}acme:job:m:J", b'{"row":0}\n' + row_text)
    mine = taken(scripts)
    ((key, submitted),) = mine.submitted("J")
    assert (key, submitted.id, submitted.mapping) == (b'{"row":0}', "a1", "m")
    mine.erase("job:m:J", "", [(0, "m")])
    assert mine.submitted("J") == []
    mine.release()


def test_a_dead_letter_is_replayed_once_however_often_it_is_asked(
    redis_url: str, scripts: Scripts
) -> None:
    """Two people press replay; the event is delivered once and the counts add up."""
    store(redis_url, [entry("e1"), entry("e2")])
    mine = taken(scripts)
    read = mine.read(2)
    record = Record(taken=2)
    for each in read:
        record.bury(DeadLetter(f"{each.id}:m", "m", "m", "a", "v", "code", "text", 1.0, each))
    record.end("m", "dead", 2)
    mine.commit(record)
    mine.release()
    letters = DeadLetters(scripts, "acme")
    found = list(letters)
    assert len(letters) == 2
    assert (letters.replay(found[:1]), letters.replay(found[:1])) == (1, 0)
    assert (letters.discard(found), letters.discard(found)) == (1, 0)
    again = taken(scripts).read(5)
    assert [(each.id, each.attempts, each.replayed) for each in again] == [("e1", 0, 1)]
    counts = read_counts(scripts, ["acme"])
    assert imbalance(counts) == []
    assert counts["connections"]["acme"]["mappings"]["m"]["dropped"] == 1


def test_a_halted_connection_asks_once_a_minute(redis_url: str, scripts: Scripts) -> None:
    """One worker gets the turn to probe; the others wait."""
    store(redis_url, [entry("e1")])
    mine = taken(scripts)
    record = Record()
    record.halt(0, "authentication_failed")
    mine.commit(record)
    mine.release()
    turns = [lane(scripts).begin() for _ in range(3)]
    assert [turn.state for turn in turns] == ["halted"] * 3
    assert [turn.probe for turn in turns] == [True, False, False]


def test_a_halt_that_is_heard_of_again_is_asked_about_no_later(
    redis_url: str, scripts: Scripts
) -> None:
    """A request of another lane that was under way put the question off by a minute."""
    store(redis_url, [entry("e1", "m", "n")])
    lanes = [taken(scripts, name) for name in ("m", "n")]
    for wait, mine in zip((0, 60), lanes, strict=True):
        record = Record()
        record.halt(wait, "invalid_key")
        mine.commit(record)
        mine.release()
    turn = lane(scripts).begin()
    assert (turn.state, turn.probe) == ("halted", True)


def test_nothing_is_lost_when_redis_answers_nothing(redis_url: str, scripts: Scripts) -> None:
    """Accepting fails with 503 and the post is repeated; the event stands once."""
    scripts.client.config_set("maxmemory", 1)
    try:
        with pytest.raises(Exception, match="Redis is full"):
            store(redis_url, [entry("e1")])
    finally:
        scripts.client.config_set("maxmemory", 0)
    assert store(redis_url, [entry("e1")]) == ["A"]
    assert len(taken(scripts).read(5)) == 1


def test_a_full_redis_drains(redis_url: str, scripts: Scripts) -> None:
    """Rows can still be taken, recorded and buried when nothing more can be accepted."""
    store(redis_url, [entry("e1"), entry("e2")])
    scripts.client.config_set("maxmemory", 1)
    try:
        mine = taken(scripts)
        mine.commit(end(mine.read(1)))
        mine.release()
    finally:
        scripts.client.config_set("maxmemory", 0)
    assert read_counts(scripts, ["acme"])["connections"]["acme"]["pending"] == 1
