"""The shared rate limit in a real Redis."""

from __future__ import annotations

from typing import Any

import pytest

from destination.action import Window
from destination.errors import NoRoom
from destination.runtime.delivery.limiter import Limiter, Told, limited, told_by
from destination.runtime.store import PREFIX, Scripts
from destination.sending import Request, Response

CALLS = f"{PREFIX}acct:calls:create_event"


def limiter(scripts: Scripts, *windows: Window) -> tuple[Limiter, list[float]]:
    """A limiter that notes how long it would have slept instead of sleeping."""
    slept: list[float] = []
    found = Limiter(scripts, "acct", lambda _operation: windows, deadline=30, sleep=slept.append)
    return found, slept


def shift(scripts: Scripts, seconds: float) -> None:
    """Let ``seconds`` pass for the calls made so far."""
    client = scripts.client
    calls: Any = client.zrange(CALLS, 0, -1, withscores=True)
    for call, at in calls:
        client.zadd(CALLS, {call: float(at) - seconds * 1000})


def test_no_more_calls_than_the_window_allows(scripts: Scripts) -> None:
    """The fourth of three is told how long to wait."""
    mine, _slept = limiter(scripts, Window(3, 60))
    for _ in range(3):
        mine.answered("create_event", mine.acquire("create_event"))
    with pytest.raises(NoRoom) as error:
        mine.acquire("create_event")
    assert 55 < error.value.after <= 60.1


def test_a_call_counts_for_one_window_after_its_answer(scripts: Scripts) -> None:
    """Not from when it was sent: the server may have counted it as late as its answer."""
    mine, _slept = limiter(scripts, Window(1, 60))
    call = mine.acquire("create_event")
    shift(scripts, 50)
    mine.answered("create_event", call)
    shift(scripts, 59)
    with pytest.raises(NoRoom) as error:
        mine.acquire("create_event")
    assert error.value.after <= 1.1
    shift(scripts, 2)
    assert mine.acquire("create_event")


def test_calls_are_ample_until_half_of_a_minute_is_used(scripts: Scripts) -> None:
    """Of any operation; a second that is used up says nothing."""
    mine, _slept = limiter(scripts, Window(8, 1), Window(10, 60))
    for _ in range(6):
        assert mine.ample
        mine.acquire("create_event")
    mine.acquire("create_event")
    assert not mine.ample


def test_every_window_is_kept(scripts: Scripts) -> None:
    """A free second does not open a spent minute."""
    mine, _slept = limiter(scripts, Window(2, 1), Window(3, 60))
    for _ in range(2):
        mine.answered("create_event", mine.acquire("create_event"))
    shift(scripts, 2)
    mine.answered("create_event", mine.acquire("create_event"))
    shift(scripts, 2)
    with pytest.raises(NoRoom) as error:
        mine.acquire("create_event")
    assert error.value.after > 50


def test_a_short_wait_is_slept_through(scripts: Scripts) -> None:
    """A worker does not give its lane back for a moment."""
    mine, slept = limiter(scripts, Window(1, 1))
    mine.answered("create_event", mine.acquire("create_event"))
    shift(scripts, 0.5)
    with pytest.raises(NoRoom):
        mine.acquire("create_event")
    assert slept
    assert 0 < slept[0] <= 0.6


def test_a_pause_holds_everybody_back(scripts: Scripts) -> None:
    """After a 429 nobody asks before Retry-After is over, whoever got the answer."""
    mine, _slept = limiter(scripts, Window(100, 1))
    send = limited(lambda _request: Response(429, {}, b""), mine, lambda _response: 30.0)
    assert send(Request("POST", "/api/events", "create_event")).status == 429
    other, _slept = limiter(scripts, Window(100, 1))
    with pytest.raises(NoRoom) as error:
        other.acquire("create_event")
    assert 29 < error.value.after <= 30
    assert other.acquire("create_profile")


def after_a_pause(scripts: Scripts) -> Limiter:
    """A limiter whose operation has just rested after a 429."""
    mine, _slept = limiter(scripts, Window(100, 1))
    mine.answered("create_event", mine.acquire("create_event"), 30, "throttled")
    scripts.client.delete(CALLS.replace(":calls:", ":pause:"))
    return mine


def test_after_a_pause_one_call_goes_alone(scripts: Scripts) -> None:
    """Whoever waited with it goes when its answer is good, and rests again when it is not."""
    mine = after_a_pause(scripts)
    probe = mine.acquire("create_event")
    for _ in range(2):
        with pytest.raises(NoRoom) as error:
            mine.acquire("create_event")
        assert error.value.after < 1
    mine.answered("create_event", probe)
    for _ in range(5):
        mine.acquire("create_event")


def test_a_probe_that_is_refused_is_followed_by_another_one(scripts: Scripts) -> None:
    """After the new pause, again alone."""
    mine = after_a_pause(scripts)
    mine.answered("create_event", mine.acquire("create_event"), 30, "throttled")
    with pytest.raises(NoRoom) as error:
        mine.acquire("create_event")
    assert error.value.after > 25
    scripts.client.delete(CALLS.replace(":calls:", ":pause:"))
    mine.acquire("create_event")
    with pytest.raises(NoRoom):
        mine.acquire("create_event")


def test_a_probe_whose_worker_died_holds_nobody_up_for_long(scripts: Scripts) -> None:
    """No longer than a call may take."""
    mine = after_a_pause(scripts)
    mine.acquire("create_event")
    left: Any = scripts.client.pttl(CALLS.replace(":calls:", ":probe:"))
    assert 30_000 < left <= 36_000


def test_a_shorter_pause_does_not_shorten_a_longer_one(scripts: Scripts) -> None:
    """Answers may come in any order."""
    mine, _slept = limiter(scripts, Window(100, 1))
    first, second = mine.acquire("create_event"), mine.acquire("create_event")
    mine.answered("create_event", first, 30, "throttled")
    mine.answered("create_event", second, 1, "throttled")
    with pytest.raises(NoRoom) as error:
        mine.acquire("create_event")
    assert error.value.after > 25


def test_a_call_under_way_counts(scripts: Scripts) -> None:
    """It may reach the server at any moment."""
    mine, _slept = limiter(scripts, Window(1, 60))
    mine.acquire("create_event")
    shift(scripts, 29)
    with pytest.raises(NoRoom):
        mine.acquire("create_event")


def test_what_others_have_used_of_the_account_is_not_asked_for(scripts: Scripts) -> None:
    """They leave two of a hundred: two more are let through, by whomever, and the third waits."""
    mine, _slept = limiter(scripts, Window(100, 60))
    told = Told(calls=100, remaining=2, reset=40)
    mine.answered("create_event", mine.acquire("create_event"), told=told)
    for _ in range(2):
        mine.acquire("create_event")
    other, _slept = limiter(scripts, Window(100, 60))
    with pytest.raises(NoRoom) as error:
        other.acquire("create_event")
    assert 38 < error.value.after <= 40


def test_what_only_we_have_used_holds_nobody_up_twice(scripts: Scripts) -> None:
    """What our own calls explain is bounded by the window of our own calls alone."""
    mine, _slept = limiter(scripts, Window(3, 60))
    for used in (1, 2):
        told = Told(calls=3, remaining=3 - used, reset=40)
        mine.answered("create_event", mine.acquire("create_event"), told=told)
    assert not scripts.client.exists(CALLS.replace(":calls:", ":left:"))
    mine.acquire("create_event")


def test_calls_under_way_are_left_out_of_what_remains(scripts: Scripts) -> None:
    """They may not have been counted when the answer was written."""
    mine, _slept = limiter(scripts, Window(100, 60))
    first = mine.acquire("create_event")
    mine.acquire("create_event")
    mine.answered("create_event", first, told=Told(calls=100, remaining=1, reset=5))
    with pytest.raises(NoRoom):
        mine.acquire("create_event")


def test_an_older_answer_does_not_give_back_what_is_used(scripts: Scripts) -> None:
    """Answers may come in any order."""
    mine, _slept = limiter(scripts, Window(100, 60))
    first, second = mine.acquire("create_event"), mine.acquire("create_event")
    mine.answered("create_event", second, told=Told(calls=100, remaining=1, reset=9))
    mine.answered("create_event", first, told=Told(calls=100, remaining=50, reset=9))
    with pytest.raises(NoRoom):
        mine.acquire("create_event")


def test_the_limit_that_an_answer_names_replaces_that_of_the_table(scripts: Scripts) -> None:
    """Both ways; the burst window, of which the answers say nothing, stays."""
    mine, _slept = limiter(scripts, Window(10, 1), Window(2, 60))
    answer = {"ratelimit-limit": "4", "ratelimit-remaining": "3", "ratelimit-reset": "60"}
    send = limited(lambda _request: Response(202, answer, b""), mine, lambda _response: 0.0)
    for _ in range(4):
        send(Request("POST", "/api/events", "create_event"))
    with pytest.raises(NoRoom):
        mine.acquire("create_event")
    assert list(mine.windows("create_event")) == [Window(10, 1), Window(4, 60)]


@pytest.mark.parametrize(
    "values",
    [
        ("", "", ""),
        ("150", "149", ""),
        ("150", "-1", "5"),
        ("1e3", "1", "5"),
        ("150", "149", "86400"),
        ("0", "0", "5"),
        ("\u0661", "1", "5"),
        ("9" * 5000, "1", "5"),
    ],
)
def test_headers_that_say_nothing_sane_are_passed_over(values: tuple[str, str, str]) -> None:
    """Whatever stands between us and Klaviyo may write them."""
    names = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")
    assert told_by(dict(zip(names, values, strict=True))) is None
