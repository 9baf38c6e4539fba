"""Erasing a person: nothing of them is left anywhere, and nothing else is touched."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from destination.errors import Rejected
from destination.event import encode
from destination.ingress.sent import Sent
from destination.klaviyo.consent import marks
from destination.runtime.conflicts import Conflict, conflicts, conflicts_key
from destination.runtime.counts import imbalance, read_counts
from destination.runtime.delivery.lanes import Lane, Record
from destination.runtime.delivery.remembered import Decisions, LastSent
from destination.runtime.erased import Erased
from destination.runtime.erasure.erase import Erasure, LaneBusy, Receipt
from destination.runtime.erasure.erasing import REQUESTS, SETTLE, Erasing
from destination.runtime.recent_deliveries import recent_deliveries
from destination.runtime.recent_events import Recorded, recorded_key
from destination.runtime.store import PREFIX, DeadLetter, Row, Scripts, person_key
from destination.runtime.subject import Subject, subject, subject_of
from destination.settings import Settings, load_settings
from tests.unit.runtime.accepting import accept
from tests.unit.runtime.serving import serving

EMAIL, PHONE, USER = "jane.doe@acme.io", "+1 (415) 555-0100", "user-of-jane"
JANE = subject({"email": EMAIL, "phone": PHONE, "user_id": USER})


@pytest.fixture
def installed(tmp_path: Path) -> Settings:
    """Settings whose one connection is called default."""
    return load_settings(folder=tmp_path, environ={}, sandbox_url="http://127.0.0.1:9")


def event(name: str, **members: Any) -> bytes:
    """An event as JSON."""
    return encode({"type": "track", "messageId": name, **members})


def row(name: str, body: bytes, person: str, mapping: str = "a") -> Row:
    """A row about a person."""
    return Row(msgspec.Raw(body), name, "web", person_key(person), mapping=mapping)


def stored(scripts: Scripts, url: str, *rows: Row, lane: str = "a") -> None:
    """Put rows into a lane as the server does."""
    for each in rows:
        item = msgspec.json.encode(msgspec.structs.replace(each, mapping=""))
        assert accept(url, (each.id, "", each.mapping, lane), item=item) == "A"


def take(scripts: Scripts, lane: str = "a") -> Lane:
    """Take the lane as a worker does."""
    found = Lane(scripts, "default", lane, lease=20)
    assert found.begin().state == "taken"
    return found


def everything(client: redis.Redis) -> list[tuple[bytes, list[bytes]]]:
    """Every key with all that stands under it."""
    readers: dict[bytes, Any] = {
        b"string": lambda key: [client.get(key)],
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"hash": lambda key: [part for pair in client.hgetall(key).items() for part in pair],
        b"zset": lambda key: client.zrange(key, 0, -1),
    }
    keys: Any = client.scan_iter(count=1000)
    return [(key, list(readers[client.type(key)](key))) for key in keys]  # type: ignore[index]  # sync client


def traces(client: redis.Redis, *words: str) -> list[bytes]:
    """The keys that hold one of these words, in their name or under it, whatever its case."""
    wanted = [word.lower().encode() for word in words]
    return [
        key
        for key, values in everything(client)
        if any(word in part.lower() for word in wanted for part in (key, *values))
    ]


def counted(scripts: Scripts) -> dict[str, Any]:
    """The counts of the connection, which add up."""
    found = read_counts(scripts, ["default"])
    assert imbalance(found) == []
    connection: dict[str, Any] = found["connections"]["default"]
    return connection


def erased(scripts: Scripts, installed: Settings, who: Subject = JANE, **how: Any) -> Receipt:
    """Erase."""
    return Erasure(scripts, installed, "default", who, **how).run()


THEIRS: dict[str, dict[str, Any]] = {
    "by id": {"userId": USER},
    "by address": {"userId": "u-9", "context": {"traits": {"email": "Jane.Doe@Acme.io"}}},
    "in a text": {"userId": "u-8", "properties": {"note": f"asked for\n<{EMAIL}>."}},
    "by phone": {"userId": "u-7", "traits": {"phone": "+14155550100"}},
    "by alias": {"userId": "u-6", "previousId": USER},
    "by external id": {"userId": "u-5", "properties": {"person": {"external_id": USER}}},
    "as a name": {"userId": "u-4", "properties": {"seen": {EMAIL: True}}},
}
OTHERS: dict[str, dict[str, Any]] = {
    "another address": {"userId": "u-3", "traits": {"email": f"mary-{EMAIL}"}},
    "a longer domain": {"userId": "u-3", "traits": {"email": f"{EMAIL}.au"}},
    "another number": {"userId": "u-3", "traits": {"phone": "+141555501001"}},
    "the id as a value": {"userId": "u-3", "properties": {"title": USER}},
    "nobody": {"anonymousId": "a-3"},
    "the number as an amount": {"userId": "u-3", "properties": {"cents": 14155550100}},
}


@pytest.mark.parametrize("what", THEIRS)
def test_an_event_concerns_whoever_it_names(what: str) -> None:
    """By any identifier, in any depth, spelling and place."""
    assert JANE.concerns({"type": "track", **THEIRS[what]})


@pytest.mark.parametrize("what", OTHERS)
def test_an_event_does_not_concern_whoever_is_only_alike(what: str) -> None:
    """What is erased cannot be had back."""
    assert not JANE.concerns({"type": "track", **OTHERS[what]})


@pytest.mark.parametrize(
    ("given", "code"),
    [({}, "say who"), ({"email": "jane"}, "address"), ({"phone": "12"}, "phone")],
)
def test_who_is_meant_must_be_said(given: dict[str, str], code: str) -> None:
    """Nothing at all, or what could mean anybody, is refused."""
    with pytest.raises(Rejected, match=code):
        subject(given)


def test_a_deletion_event_says_whom_it_is_about() -> None:
    """By its ids and traits; what cannot be an identifier is none."""
    body = {"type": "delete", "userId": USER, "context": {"traits": {"email": EMAIL}}}
    assert subject_of(body) == Subject(EMAIL, "", USER, "")
    assert subject_of({"userId": USER, "traits": {"phone": "1"}}) == Subject("", "", USER, "")
    assert subject_of({"type": "delete"}) is None


STRANGERS = 3


def filled(scripts: Scripts, redis_url: str) -> None:
    """Jane everywhere where something can stand, and others beside her."""
    theirs = [
        row(f"{EMAIL}-{number}", event(f"m-{number}", **body), body["userId"])
        for number, body in enumerate(THEIRS.values())
    ]
    others = [
        row(f"o-{number}", event(f"o-{number}", userId=f"u-{number}"), f"u-{number}")
        for number in range(STRANGERS)
    ]
    stored(scripts, redis_url, *theirs, *others)
    lane, record = take(scripts), Record(taken=4)
    record.park(theirs[0], 60, first=True)
    record.sent("job-1", theirs[1], encode(EMAIL), 1)
    record.poll("job-1", 60)
    letter = DeadLetter(
        f"web:{theirs[2].id}:a", "a", "a", "upsertProfile", "v", "x", f"{EMAIL}?", 1.0, theirs[2]
    )
    record.bury(letter)
    record.end("a", "dead")
    record.end("a", "delivered")
    told = {"source": "web", "mapping": "a", "outcome": "delivered", "note": ""}
    entries = [encode({"id": each.id} | told) for each in (theirs[3], others[0])]
    record.log(entries)
    lane.commit(record)
    lane.release()
    client = scripts.client
    client.lpush("destination:default:recent", *entries)  # by an earlier version
    for each in (theirs[3], others[0]):
        body = msgspec.json.decode(each.event)
        client.lpush(
            recorded_key("default"), encode(Recorded("web", {**body, "messageId": each.id}))
        )
    for number, each in enumerate((theirs[4], others[1])):
        body = msgspec.json.decode(each.event)
        conflict = Conflict("web", f"c-{number}", 1.0, {**body, "messageId": f"c-{number}"})
        client.lpush(conflicts_key("default"), encode(conflict))
    Decisions(client, "default").remember(dict.fromkeys(told_no(), 5.0))
    sent = {person_key(USER): "x", person_key("o-1"): "y"}
    LastSent(client, "default").sending("a", sent)
    LastSent(client, "default").delivered("a", sent)


def told_no() -> list[str]:
    """What Jane's decisions are remembered under."""
    return list(marks({"email": EMAIL, "phone_number": "+14155550100"}).values())


def test_nothing_of_a_person_is_left_anywhere(
    redis_url: str, client: redis.Redis, scripts: Scripts, installed: Settings
) -> None:
    """Every key and value is looked through; the receipt holds numbers and hashes."""
    filled(scripts, redis_url)
    words = (EMAIL, USER, "4155550100")
    assert len(traces(client, *words)) >= 6
    before = counted(scripts)
    receipt = erased(scripts, installed)
    assert traces(client, *words) == []
    assert [each.id for each in take(scripts).read(99)] == ["o-0", "o-1", "o-2"]
    after = counted(scripts)
    gone = receipt.pending + receipt.submitted + receipt.dead
    assert (receipt.pending, receipt.submitted, receipt.dead) == (len(THEIRS) - 3, 1, 1)
    assert after["dropped"] == before["dropped"] + gone
    assert after["mappings"]["a"]["reasons"] == {"dropped:erased": gone}
    assert (receipt.recorded, receipt.recent, receipt.remembered) == (2, 1, 1)
    assert [each.id for each in conflicts(client, "default")] == ["c-1"]
    assert [msgspec.json.decode(each)["id"] for each in recent_deliveries(client, "default")] == [
        "o-0"
    ]
    assert receipt.dedupe == len(THEIRS)
    assert EMAIL not in repr(receipt)
    assert USER not in repr(receipt)


@pytest.mark.parametrize(
    "members",
    [
        b'"userId":"u-7","n":1e999',
        b'"userId":"x","n":1e999,"traits":{"phone":"+14155550100"}',
        b'"userId":"x","n":1e999,"traits":{"email":"j\\u0061ne@acme.io"}',
        b'"userId":"x","traits":{"email":"jane@acme.io"},"traits":{"a":1}',
        b'"userId":"x","_metadata":{"email":"jane@acme.io"}',
    ],
)
def test_a_person_is_found_in_an_event_as_it_was_sent(
    redis_url: str, client: redis.Redis, scripts: Scripts, installed: Settings, members: bytes
) -> None:
    """Also where it cannot be read, and in what its canonical form leaves out."""
    text = b'{"type":"track","messageId":"s-1","event":"Sent",%b}' % members
    who = Subject(email="jane@acme.io", phone="14155550100", user_id="u-7")
    kept = Row(msgspec.Raw(text), "s-1", "web", "p", sent=Sent(1_700_000_000_000), mapping="a")
    stored(scripts, redis_url, kept)
    assert erased(scripts, installed, who).pending == 1
    assert traces(client, "Sent") == []


def test_a_dry_run_tells_the_numbers_and_changes_nothing(
    redis_url: str, client: redis.Redis, scripts: Scripts, installed: Settings
) -> None:
    """Not a byte in Redis."""
    filled(scripts, redis_url)
    before = sorted(everything(client))
    dry = erased(scripts, installed, dry=True)
    assert sorted(everything(client)) == before
    done = erased(scripts, installed)
    assert (dry.pending, dry.submitted, dry.dead, dry.recorded, dry.recent) == (
        done.pending,
        done.submitted,
        done.dead,
        done.recorded,
        done.recent,
    )


def at(seconds: float) -> str:
    """A time as events write it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def test_an_erased_event_that_is_posted_again_stays_away(
    redis_url: str, client: redis.Redis, scripts: Scripts, installed: Settings
) -> None:
    """Its id is forgotten and it is accepted; who delivers it knows it, whatever its time."""
    mine = row("m-1", event("m-1", userId=USER), USER)
    stored(scripts, redis_url, mine)
    erased(scripts, installed)
    stored(scripts, redis_url, mine)
    known = Erased(client, "default")
    later = row("m-1", event("m-1", userId=USER, timestamp=at(time.time() + 60)), USER)
    assert known.among([mine, later]) == {0, 1}
    other = row("m-1", event("m-1", userId="u-2"), "u-2")
    assert known.among([msgspec.structs.replace(other, source="app")]) == frozenset()


@pytest.mark.parametrize("what", sorted(THEIRS.keys() - {"in a text"}))
def test_what_happened_before_the_erasure_stays_away(
    client: redis.Redis, scripts: Scripts, installed: Settings, what: str
) -> None:
    """By any of the identifiers; what happens afterwards is delivered, and so is everybody else."""
    erased(scripts, installed)
    now = time.time()
    times = [now - 5, now + 5]
    mine = [row(f"n-{when}", event("n", timestamp=at(when), **THEIRS[what]), "x") for when in times]
    others = [
        row(f"o-{number}", event("o", timestamp=at(now - 5), **body), "y")
        for number, body in enumerate(OTHERS.values())
    ]
    assert Erased(client, "default").among([*mine, *others]) == {0}
    assert Erased(client, "other").among(mine) == frozenset()


def test_an_event_without_a_time_is_as_old_as_its_receipt(
    client: redis.Redis, scripts: Scripts, installed: Settings
) -> None:
    """And one without either, or about nobody, is new."""
    erased(scripts, installed)
    now = time.time()
    bodies = [
        event("a", userId=USER, receivedAt=at(now - 5)),
        event("b", userId=USER, receivedAt=at(now + 5)),
        event("c", userId=USER, timestamp="yesterday"),
        event("d", userId="somebody else", timestamp=at(-5)),
        b"5",
        event("e", type="delete", userId=USER, timestamp=at(now - 5)),
    ]
    rows = [row(f"m-{number}", body, "p") for number, body in enumerate(bodies)]
    assert Erased(client, "default").among(rows) == {0}


def test_who_is_erased_has_withdrawn_what_they_agreed_to(
    client: redis.Redis, scripts: Scripts, installed: Settings
) -> None:
    """An older subscription that comes later finds a no; an earlier no is never forgotten."""
    decided = Decisions(client, "default")
    later = time.time() + 60
    decided.remember({told_no()[0]: later})
    before = time.time()
    erased(scripts, installed)
    email, phone = decided.recall(told_no())
    assert email == later
    assert before <= phone <= time.time()


def test_what_came_in_long_after_the_request_stays(
    redis_url: str, scripts: Scripts, installed: Settings
) -> None:
    """A request that could not be carried out for an hour means those who were there then."""
    now = time.time()
    times = (now - 3600, now, now + 9e8)
    bodies = [event("m", userId=USER, receivedAt=at(when)) for when in times]
    stored(scripts, redis_url, *(row(f"m-{n}", body, USER) for n, body in enumerate(bodies)))
    assert erased(scripts, installed, at=now - 1800).pending == 2
    assert [each.id for each in take(scripts).read(9)] == ["m-1"]


def test_a_withdrawal_stays_until_it_is_delivered(
    tmp_path: Path, redis_url: str, scripts: Scripts
) -> None:
    """Who asked not to be written to must not be written to because they were forgotten here."""
    mapping = {
        "name": "no",
        "action": "unsubscribeProfile",
        "trigger": 'type = "track"',
        "fields": {"email": {"@path": "$.properties.email"}},
    }
    (tmp_path / "mappings").mkdir()
    file = {"name": "consent", "mappings": [mapping]}
    (tmp_path / "mappings" / "consent.json").write_bytes(encode(file))
    chosen = load_settings(
        folder=tmp_path,
        environ={},
        mappings=tmp_path / "mappings",
        sandbox_url="http://127.0.0.1:9",
    )
    body = event("m-1", properties={"email": EMAIL})
    stored(scripts, redis_url, row("m-1", body, "p", "consent/no"), row("m-2", body, "p"))
    receipt = erased(scripts, chosen)
    assert (receipt.pending, receipt.kept) == (1, 1)
    assert [each.mapping for each in take(scripts).read(9)] == ["consent/no"]


def test_people_who_wait_for_a_job_with_an_erased_row_go_on(
    redis_url: str, client: redis.Redis, scripts: Scripts, installed: Settings
) -> None:
    """Rows behind it that are not the person's are due at once; those of others go on waiting."""
    theirs = row("m-1", event("m-1", userId=USER), "shared")
    behind = row("m-2", event("m-2", userId="u-2"), "shared")
    other = row("m-3", event("m-3", userId="u-3"), "u-3")
    stored(scripts, redis_url, theirs, behind, other)
    lane, record = take(scripts), Record(taken=3)
    record.sent("job-1", theirs, b"1", 0)
    record.sent("job-1", other, b"2", 2)
    record.poll("job-1", 60)
    record.follow(behind, 1)
    lane.commit(record)
    lane.release()
    assert erased(scripts, installed).submitted == 1
    parked = dict(client.zrange(f"{PREFIX}default:parked:a", 0, -1, withscores=True))  # type: ignore[arg-type]  # sync client
    assert parked[person_key("shared").encode()] < time.time() * 1000 + 1000
    assert parked[person_key("u-3").encode()] == float("inf")
    mine = take(scripts)
    assert [each.id for each in mine.read(9)] == ["m-2"]
    assert [(key, each.id) for key, each in mine.submitted("job-1")] == [(b"2", "m-3")]
    counted(scripts)


def test_it_waits_for_a_worker_and_no_worker_comes_in_between(
    redis_url: str, scripts: Scripts, installed: Settings
) -> None:
    """The rows in a worker's hands are erased when it has put them down."""
    stored(scripts, redis_url, row("m-1", event("m-1", userId=USER), USER))
    working = take(scripts)
    done: list[Receipt] = []
    thread = threading.Thread(target=lambda: done.append(erased(scripts, installed)))
    thread.start()
    end = time.monotonic() + 5
    while not scripts.client.exists(f"{PREFIX}default:hold:a") and time.monotonic() < end:
        time.sleep(0.01)
    assert not done
    (mine,) = working.read(9)
    record = Record(taken=1)
    record.park(mine, 0, first=True)
    working.commit(record)
    working.release()
    thread.join(5)
    assert [receipt.pending for receipt in done] == [1]
    assert take(scripts).read(9) == []
    counted(scripts)


def test_a_lane_that_cannot_be_had_is_said(
    redis_url: str, scripts: Scripts, installed: Settings
) -> None:
    """And nothing is taken out of it."""
    stored(scripts, redis_url, row("m-1", event("m-1", userId=USER), USER))
    working = take(scripts)
    with pytest.raises(LaneBusy, match="erase again"):
        erased(scripts, installed, patience=0.1)
    assert len(working.read(9)) == 1


def test_a_request_for_deletion_stays_until_it_is_delivered(
    redis_url: str, scripts: Scripts, installed: Settings
) -> None:
    """Klaviyo must hear of it."""
    asked = encode({"type": "delete", "messageId": "d-1", "userId": USER})
    stored(scripts, redis_url, row("d-1", asked, USER), row("m-1", event("m-1", userId=USER), USER))
    receipt = erased(scripts, installed)
    assert (receipt.pending, receipt.kept) == (1, 1)
    assert [each.id for each in take(scripts).read(9)] == ["d-1"]


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.lists(st.booleans(), max_size=30), st.integers(0, 29))
def test_others_keep_their_place(
    redis_url: str, client: redis.Redis, scripts: Scripts, installed: Settings,
    theirs: list[bool], parked: int,
) -> None:  # fmt: skip
    """Whoever is taken out from between them, in lane and chain, across any number of reads."""
    client.flushall()
    rows = [
        row(f"m-{n}", event(f"m-{n}", userId=USER if mine else "u-2"), "shared")
        for n, mine in enumerate(theirs)
    ]
    stored(scripts, redis_url, *rows)
    lane, record = take(scripts), Record(taken=min(parked, len(rows)))
    for each in rows[:parked]:
        record.park(each, 0)
    lane.commit(record)
    lane.release()
    assert erased(scripts, installed).pending == sum(theirs)
    left = [each.id for each in take(scripts).read(99)]
    assert left == [f"m-{n}" for n, mine in enumerate(theirs) if not mine]
    counted(scripts)


TOML = """
    erase_on_delete = {enabled}
    [sources.shop]
    write_keys = "shop"
    [sources.page]
    write_keys = "page"
    kind = "browser"
    """


@pytest.mark.parametrize(
    ("enabled", "key", "asked"), [("true", "shop", 1), ("true", "page", 0), ("false", "shop", 0)]
)
def test_a_delete_event_erases_where_that_is_wanted(
    tmp_path: Path, redis_url: str, client: redis.Redis, enabled: str, key: str, asked: int
) -> None:
    """Never by a public key; and what is lined up is carried out once it has settled."""
    with serving(tmp_path, redis_url, TOML.format(enabled=enabled)) as server:
        mine = {"type": "identify", "userId": USER, "traits": {"email": EMAIL}}
        assert server.post("/v1/identify", mine, auth=("shop", "")).status_code == 200
        gone = {"type": "delete", "userId": USER}
        assert server.post("/v1/batch", {"batch": [gone]}, auth=(key, "")).status_code == 200
        assert client.llen(REQUESTS) == asked
    environ = {"DESTINATION_MAPPINGS": str(tmp_path / "mappings")}
    erasing = Erasing(load_settings(folder=tmp_path, environ=environ), redis_url)
    erasing.work(Scripts(client))
    assert client.llen(REQUESTS) == asked
    for told in client.lrange(REQUESTS, 0, -1):
        request = msgspec.json.decode(told)
        earlier = encode({**request, "time": request["time"] - SETTLE})
        client.lset(REQUESTS, 0, earlier.decode())
    erasing.work(Scripts(client))
    assert client.llen(REQUESTS) == 0
    assert bool(traces(client, EMAIL)) is (asked == 0)


def test_the_route_erases_and_gives_a_receipt(
    tmp_path: Path, redis_url: str, client: redis.Redis
) -> None:
    """For those who may; a dry run first, if that is asked for."""
    with serving(tmp_path, redis_url, DESTINATION_WRITE_KEY="k") as server:
        mine = {"type": "identify", "userId": USER, "traits": {"email": EMAIL}}
        assert server.post("/v1/identify", mine, auth=("k", "")).status_code == 200
        assert server.post("/admin/erase", {"email": EMAIL}).status_code == 401
        admin = {
            "authorization": "Bearer an-admin-token-of-the-tests",
            "content-type": "application/json",
        }
        dry = server.post("/admin/erase", {"email": EMAIL, "dry_run": True}, headers=admin)
        assert [each["pending"] for each in dry.json()["receipts"]] == [1]
        assert server.post("/admin/erase", {"email": "x"}, headers=admin).status_code == 400
        assert server.post("/admin/erase", {}, headers=admin).status_code == 400
        assert traces(client, EMAIL)
        done = server.post("/admin/erase", {"email": EMAIL}, headers=admin)
        assert [each["pending"] for each in done.json()["receipts"]] == [1]
        assert EMAIL not in done.text
        assert traces(client, EMAIL) == []
