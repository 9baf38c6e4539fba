"""What a connection remembers, in a real Redis."""

from __future__ import annotations

import pytest
import redis

from destination.runtime.delivery.remembered import DECISIONS_DAYS, Decisions, LastSent
from destination.runtime.moments import DAY, DIGEST_KEY

NOW = 1_790_000_000.0


def test_the_latest_time_of_each_key_is_kept(client: redis.Redis) -> None:
    """An earlier one changes nothing; what nobody told is 0."""
    mine = Decisions(client, "default")
    mine.remember({"a": NOW + 5.25, "b": NOW})
    mine.remember({"a": NOW + 3, "b": NOW + 1})
    assert mine.recall(["a", "b", "c"]) == [NOW + 5.25, NOW + 1, 0.0]
    assert mine.recall([]) == []


def test_connections_remember_apart(client: redis.Redis) -> None:
    """One account's decisions are none of another's; a new key of the same connection sees them."""
    Decisions(client, "one").remember({"a": NOW})
    assert Decisions(client, "two").recall(["a"]) == [0.0]
    assert Decisions(client, "one").recall(["a"]) == [NOW]


def test_thousands_of_keys_are_asked_for_at_once(client: redis.Redis) -> None:
    """A whole batch of subscriptions, two channels each."""
    mine = Decisions(client, "default")
    times = {str(n): NOW + n for n in range(2500)}
    mine.remember(times)
    assert mine.recall(list(times)) == list(times.values())


def test_what_is_kept_tells_nobody_whom_it_is_about(client: redis.Redis) -> None:
    """Two installations keep different digests of the same address; the key of each is its own."""
    Decisions(client, "default").remember({"a": NOW})
    first, key = client.zrange("destination:default:no", 0, -1), client.get(DIGEST_KEY)
    client.flushall()
    assert Decisions(client, "default").recall(["a"]) == [0.0]
    Decisions(client, "default").remember({"a": NOW})
    assert client.zrange("destination:default:no", 0, -1) != first
    assert client.get(DIGEST_KEY) != key


def test_who_goes_on_with_an_emptied_redis_remembers_with_the_others(client: redis.Redis) -> None:
    """A process that was there before uses the key that the others have made since."""
    mine = Decisions(client, "default")
    mine.remember({"a": NOW})
    client.flushall()
    Decisions(client, "default").remember({"b": NOW})
    mine.remember({"a": NOW + 1})
    assert mine.recall(["a", "b"]) == [NOW + 1, NOW]
    assert Decisions(client, "default").recall(["a", "b"]) == [NOW + 1, NOW]


def test_decisions_are_forgotten_in_the_end(client: redis.Redis) -> None:
    """Memory stays bounded."""
    mine = Decisions(client, "default")
    mine.remember({"old": NOW, "older": NOW - 1})
    mine.remember({"new": NOW + DECISIONS_DAYS * DAY})
    assert mine.recall(["old", "older"]) == [NOW, 0.0]
    assert client.zcard("destination:default:no") == 2


def test_only_the_newest_are_kept_beyond_a_number(client: redis.Redis) -> None:
    """The oldest go first."""
    mine = Decisions(client, "default", most=3)
    mine.remember({str(n): NOW + n for n in range(5)})
    assert mine.recall(list("01234")) == [0.0, 0.0, NOW + 2, NOW + 3, NOW + 4]


def test_a_full_redis_still_takes_a_no(client: redis.Redis) -> None:
    """Or nobody could unsubscribe while it drains."""
    mine, last = Decisions(client, "default"), LastSent(client, "default")
    client.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.ResponseError):
            client.set("x", 1)
        mine.remember({"a": NOW})
        last.sending("m", {"p": "d"})
        assert mine.recall(["a"]) == [NOW]
    finally:
        client.config_set("maxmemory", 0)


def test_what_was_delivered_last_is_known(client: redis.Redis) -> None:
    """For each mapping and person apart, and not while it is on its way."""
    last = LastSent(client, "default")
    last.sending("m", {"p": "d1", "q": "d2"})
    assert last.known("m", ["p", "q"]) == {}
    last.delivered("m", {"p": "d1"})
    assert last.known("m", ["p", "q", "p"]) == {"p": "d1"}
    assert last.known("n", ["p"]) == {}
    assert LastSent(client, "other").known("m", ["p"]) == {}


def test_sending_something_else_forgets_what_was_there(client: redis.Redis) -> None:
    """A worker that died afterwards must not leave the old one standing."""
    last = LastSent(client, "default")
    last.sending("m", {"p": "d1"})
    last.delivered("m", {"p": "d1"})
    last.sending("m", {"p": "d2"})
    assert last.known("m", ["p"]) == {}


def test_a_late_word_of_an_earlier_delivery_changes_nothing(client: redis.Redis) -> None:
    """A worker that slept while another one went on."""
    last = LastSent(client, "default")
    last.sending("m", {"p": "d1"})
    last.sending("m", {"p": "d2"})
    last.delivered("m", {"p": "d1"})
    assert last.known("m", ["p"]) == {}
    last.delivered("m", {"p": "d2"})
    assert last.known("m", ["p"]) == {"p": "d2"}
    last.delivered("m", {"p": "d1"})
    assert last.known("m", ["p"]) == {"p": "d2"}


def test_the_rows_of_a_job_are_confirmed_without_their_digests(client: redis.Redis) -> None:
    """Whatever was on its way; nothing where nothing was."""
    last = LastSent(client, "default")
    last.sending("m", {"p": "d1"})
    last.confirm("m", ["p", "q"])
    assert last.known("m", ["p", "q"]) == {"p": "d1"}


def test_nothing_is_kept_for_ever(client: redis.Redis) -> None:
    """Every key of a delivery has its end."""
    LastSent(client, "default").sending("m", {"p": "d"})
    for key in client.scan_iter("destination:*"):
        assert 0 < int(client.ttl(key)) <= DAY
