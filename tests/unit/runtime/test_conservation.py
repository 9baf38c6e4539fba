"""Random rows, random answers, workers that die at random points: every row has one end."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from destination.event import encode
from destination.klaviyo import KLAVIYO
from destination.mapping.file import read_mapping_file
from destination.pipeline import Route, route
from destination.runtime.counts import imbalance, read_counts
from destination.runtime.delivery.worker import Worker
from destination.runtime.intake.accept import Counting, Entry, Intake, Target, accept_client
from destination.runtime.letters.dead_letters import DeadLetters
from destination.runtime.store import PREFIX, Row, Scripts, encode_item
from destination.sending import Request, Response
from destination.settings import Settings, load_settings
from tests.unit.klaviyo.fake_klaviyo import BAD, FakeKlaviyo, Fault

ROUNDS = 150
WHO = {"email": {"@path": "$.email"}, "external_id": {"@path": "$.id"}}
FIRST = {"first_name": {"@path": "$.first"}}
MAPPINGS: dict[str, dict[str, Any]] = {
    "seen": {
        "action": "trackEvent",
        "fields": {
            "profile": {**WHO, **FIRST},
            "metric_name": "Seen",
            "properties": {},
            "unique_id": {"@path": "$.messageId"},
        },
    },
    "people": {
        "action": "upsertProfile",
        "fields": {**WHO, **FIRST, "title": {"@path": "$.title"}},
        "batch": {"skip_unchanged": True},
    },
    "yes": {"action": "subscribeProfile", "fields": {"email": {"@path": "$.email"}}},
}


def routes() -> dict[str, Route]:
    """The mappings, in bulk and with the profiles skipped that are unchanged."""
    trigger = 'type = "track"'
    entries = [{"name": name, "trigger": trigger, **each} for name, each in MAPPINGS.items()]
    text = encode({"name": "f", "mappings": entries})
    found, problems = read_mapping_file(text, "f.json", KLAVIYO.actions)
    assert not problems
    return {each.name: route(each, KLAVIYO.actions) for each in found}


class Killed(BaseException):
    """What ``kill -9`` is to a process: nothing of it runs any more."""


class Life:
    """Counts what a worker does and ends it at some of these steps."""

    def __init__(self, deaths: Sequence[int]) -> None:
        self.deaths = set(deaths)
        self.steps = 0
        self.dead = False
        self._lock = threading.Lock()

    def step(self) -> None:
        """One thing more that may be the last."""
        with self._lock:
            self.steps += 1
            self.dead = self.dead or self.steps in self.deaths
        if self.dead:
            raise Killed


class MortalScripts(Scripts):
    """Redis, as far as a worker lives to ask it and to hear the answer."""

    def __init__(self, client: redis.Redis, life: Life) -> None:
        super().__init__(client)
        self._life = life

    def run(self, name: str, args: list[Any], keys: list[str] | None = None) -> Any:
        """Run a script."""
        self._life.step()
        answer = super().run(name, args, keys)
        self._life.step()
        return answer


class Mortal:
    """Klaviyo, as far as a worker lives to ask it and to hear the answer."""

    def __init__(self, klaviyo: FakeKlaviyo, life: Life) -> None:
        self._klaviyo = klaviyo
        self._life = life
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Response:
        """Send a request."""
        with self._lock:
            self._life.step()
            response = self._klaviyo(request)
            self._life.step()
            return response


class Fixed:
    """Mappings that never change."""

    def __init__(self) -> None:
        self._routes = routes()

    def routes(self) -> dict[str, Route]:
        """All of them."""
        return self._routes


class Ordeal:
    """An installation whose workers die; each successor finds what the last one left."""

    def __init__(self, url: str, told: Settings, klaviyo: FakeKlaviyo, deaths: list[int]) -> None:
        self._url = url
        self._told = told
        self._klaviyo = klaviyo
        self._life = Life(deaths)
        self.deaths = 0
        self._worker = self._hire()

    def _hire(self) -> Worker:
        worker = Worker(self._told, self._url)
        worker.scripts = MortalScripts(worker.redis, self._life)
        working = worker.working["default"]
        working.mappings = Fixed()  # type: ignore[assignment]  # a fake
        working.sender = Mortal(self._klaviyo, self._life)
        return worker

    def accept(self, events: Sequence[tuple[str, str, dict[str, Any]]]) -> None:
        """Accept events given as (mapping, person, event), as the server does."""
        found = Fixed().routes()
        entries = [
            Entry("default", "web", body["messageId"], encode_item(row(body, person)), (target,))
            for mapping, person, body in events
            for target in [Target(found[mapping].lane, mapping, 0, 100)]
        ]

        async def run() -> None:
            client = accept_client(self._url)
            intake = Intake(client, dedupe_hours=24)
            await intake.start()
            try:
                await intake.store(entries, Counting("web", len(entries), 0, 0))
            finally:
                await intake.stop()
                await client.aclose()

        asyncio.run(run())

    def settle(self) -> dict[str, Any]:
        """Work until nothing is pending; the counts then."""
        lanes = sorted({each.lane for each in Fixed().routes().values()})
        for _ in range(ROUNDS):
            for lane in lanes:
                self._hurry(lane)
                try:
                    self._worker.send("default", lane)
                except Killed:
                    self.deaths += 1
                    self._worker.close()
                    self._life.dead = False
                    self._worker = self._hire()
            counts = self.counts()
            if not counts["pending"]:
                return counts
        raise AssertionError("rows never end")

    def counts(self) -> dict[str, Any]:
        """They add up at any time."""
        counts = read_counts(Scripts(self._worker.redis), ["default"])
        assert imbalance(counts) == []
        found: dict[str, Any] = counts["connections"]["default"]
        return found

    def dead(self) -> list[str]:
        """The ids of the events among the dead letters."""
        return sorted(each.row.id for each in DeadLetters(Scripts(self._worker.redis), "default"))

    def close(self) -> None:
        """End."""
        self._worker.close()

    def _hurry(self, lane: str) -> None:
        """Nothing waits; the lease of a worker that died has run out."""
        client: Any = self._worker.redis
        own = f"{PREFIX}default:"
        client.delete(f"{own}hold:{lane}", f"{own}lease:{lane}", f"{own}halt")
        for place in (f"{own}parked:{lane}", f"{own}jobs:{lane}"):
            for member, due in client.zrange(place, 0, -1, withscores=True):
                if due != float("inf"):
                    client.zadd(place, {member: 0})


def row(body: dict[str, Any], person: str) -> Row:
    """A row for an event."""
    return Row(msgspec.Raw(encode(body)), body["messageId"], "web", person)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings under which no budget is ever spent."""
    folder: Path = tmp_path_factory.mktemp("told")
    return load_settings(
        folder=folder,
        environ={},
        sandbox_url="http://127.0.0.1:9",
        retry_attempts=1_000,
        lease=60,
    )


FAULTS: list[Fault] = ["", "", "", "before", "after", "429", "500", "503 html", "403 html"]
given_rows = st.lists(
    st.tuples(st.sampled_from(sorted(MAPPINGS)), st.integers(0, 3), st.sampled_from("AAB")),
    min_size=1,
    max_size=14,
)
bad_people = st.sets(st.integers(0, 3), max_size=2)
deaths = st.lists(st.integers(1, 60), max_size=6, unique=True)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    given_rows, bad_people, st.lists(st.sampled_from(FAULTS), max_size=15), deaths, st.booleans()
)
def test_every_row_has_one_end_and_one_effect(
    client: redis.Redis,
    redis_url: str,
    told: Settings,
    rows: list[tuple[str, int, str]],
    bad: set[int],
    faults: list[Fault],
    deadly: list[int],
    points: bool,
) -> None:
    """Bad rows are dead letters; the others arrive once, and the last word of each person counts,
    whether or not repetitions of it were left out.
    """
    client.flushall()
    klaviyo = FakeKlaviyo(list(faults), points=points)
    events = [
        (f"f/{mapping}", f"person-{who}", body(place, who, title, bad=who in bad))
        for place, (mapping, who, title) in enumerate(rows)
    ]
    ordeal = Ordeal(redis_url, told, klaviyo, deadly)
    try:
        ordeal.accept(events)
        counts = ordeal.settle()
        assert ordeal.dead() == sorted(f"m{n}" for n, (_, who, _) in enumerate(rows) if who in bad)
    finally:
        ordeal.close()
    assert counts["accepted"] == len(rows)
    assert counts["accepted"] == counts["delivered"] + counts["dropped"] + counts["dead"]
    assert counts["dead"] == sum(who in bad for _, who, _ in rows)
    reasons = Counter[str]()
    for mapping in counts["mappings"].values():
        reasons.update(mapping["reasons"])
    assert set(reasons) <= {"dropped:unchanged"}
    good = [(n, *each) for n, each in enumerate(rows) if each[1] not in bad]
    seen = [unique for _, _, unique in klaviyo.events]
    assert sorted(seen) == sorted(f"m{n}" for n, mapping, *_ in good if mapping == "seen")
    titles = {who: title for _, mapping, who, title in good if mapping == "people"}
    held = {each["external_id"]: each.get("title") for each in klaviyo.profiles.values()}
    assert {f"u{who}": title for who, title in titles.items()}.items() <= held.items()
    assert klaviyo.subscribed == {address(who) for _, mapping, who, _ in good if mapping == "yes"}


def address(who: int, *, bad: bool = False) -> str:
    """A person's e-mail address; Klaviyo refuses it when it is bad."""
    return f"{BAD if bad else 'p'}{who}@acme.io"


def body(place: int, who: int, title: str, *, bad: bool) -> dict[str, Any]:
    """The event of a row."""
    return {
        "type": "track",
        "messageId": f"m{place}",
        "timestamp": "2026-01-01T00:00:00Z",
        "email": address(who, bad=bad),
        "id": f"u{who}",
        "title": title,
        **({"first": BAD} if bad else {}),
    }


def test_the_ordeal_kills(client: redis.Redis, redis_url: str, told: Settings) -> None:
    """At every step of the first delivery a worker can die, and it ends all the same."""
    for death in range(1, 16):
        client.flushall()
        klaviyo = FakeKlaviyo()
        ordeal = Ordeal(redis_url, told, klaviyo, [death])
        try:
            ordeal.accept([("f/people", "p", body(0, 0, "A", bad=False))])
            assert ordeal.settle()["delivered"] == 1
        finally:
            ordeal.close()
        assert len(klaviyo.profiles) == 1
        if death <= 6:
            assert ordeal.deaths == 1
