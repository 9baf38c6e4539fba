"""Several lanes at once, and no connection in the way of another."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from destination.runtime.delivery.side_by_side import side_by_side
from destination.runtime.delivery.slots import Slots


class Lanes:
    """Work that lasts until it is let go; notes what began and what ended."""

    def __init__(self) -> None:
        self.began: list[tuple[str, str]] = []
        self._changed = threading.Condition()
        self._free: set[tuple[str, str]] = set()
        self._all = False

    def work(self, connection: str, lane: str) -> None:
        """What ``Slots`` runs."""
        with self._changed:
            self.began.append((connection, lane))
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._all or (connection, lane) in self._free, 10)
        if lane == "broken":
            raise ValueError(lane)

    def let_go(self, *lanes: tuple[str, str]) -> None:
        """These may end; all when none is named."""
        with self._changed:
            self._all = not lanes
            self._free |= {*lanes}
            self._changed.notify_all()

    def saw(self, count: int) -> list[tuple[str, str]]:
        """The first so many that began, waiting for them."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.began) >= count, 10), self.began
            return self.began[:count]


@pytest.fixture
def lanes() -> Lanes:
    """Work to control."""
    return Lanes()


@pytest.fixture
def slots(lanes: Lanes) -> Iterator[Slots]:
    """Four places, two for each connection."""
    found = Slots(lanes.work, lanes=4, each=2, sleep=lambda _seconds: None)
    yield found
    lanes.let_go()
    found.close()


def test_a_connection_that_does_not_answer_holds_up_no_other_one(
    slots: Slots, lanes: Lanes
) -> None:
    """Its lanes wait for each other."""
    for lane in ("1", "2", "3", "4"):
        slots.take("dead", lane)
    slots.take("healthy", "1")
    assert sorted(lanes.saw(3)) == [("dead", "1"), ("dead", "2"), ("healthy", "1")]
    assert slots.crowded("dead")
    assert not slots.crowded("healthy")


def test_lanes_beyond_the_share_go_in_turn(slots: Slots, lanes: Lanes) -> None:
    """Each once, though it was asked for twice."""
    for lane in ("1", "2", "3", "4", "3"):
        slots.take("busy", lane)
    lanes.saw(2)
    lanes.let_go(("busy", "1"))
    assert lanes.saw(3)[2] == ("busy", "3")
    lanes.let_go(("busy", "3"))
    assert lanes.saw(4)[3] == ("busy", "4")
    lanes.let_go()
    slots.close()
    assert len(lanes.began) == 4


def test_a_lane_that_fails_leaves_its_place_to_others(slots: Slots, lanes: Lanes) -> None:
    """Whatever the fault is."""
    for lane in ("broken", "1", "2"):
        slots.take("default", lane)
    lanes.let_go(("default", "broken"))
    assert lanes.saw(3)[2] == ("default", "2")


def test_closing_waits_for_what_is_under_way_and_begins_nothing(slots: Slots, lanes: Lanes) -> None:
    """What waited is due again elsewhere."""
    for lane in ("1", "2", "3"):
        slots.take("default", lane)
    lanes.saw(2)
    closing = threading.Thread(target=slots.close)
    closing.start()
    closing.join(0.1)
    assert closing.is_alive()
    lanes.let_go()
    closing.join(10)
    assert not closing.is_alive()
    assert sorted(lanes.began) == [("default", "1"), ("default", "2")]


def test_a_busy_process_leaves_the_next_lane_to_an_idle_one(lanes: Lanes) -> None:
    """It hesitates the longer the more it has in hand."""
    slept: list[float] = []
    slots = Slots(lanes.work, lanes=4, each=4, sleep=slept.append)
    for lane in ("1", "2", "3"):
        slots.take("default", lane)
    lanes.let_go()
    slots.close()
    assert slept == sorted(slept)
    assert len(set(slept)) == 3


class NoThreads(threading.Thread):
    """A thread that the system refuses to start."""

    def start(self) -> None:
        """See above."""
        raise RuntimeError("can't start new thread")


def test_a_process_that_may_start_no_threads_works_on_one_lane_after_the_other(
    lanes: Lanes,
) -> None:
    """And gives their places back: it must not swallow the lanes it is handed."""
    lanes.let_go()
    slots = Slots(lanes.work, lanes=4, each=2, sleep=lambda _seconds: None, thread=NoThreads)
    for number in range(6):
        slots.take("default", str(number))
    assert len(lanes.began) == 6
    slots.close()


def test_tasks_run_without_threads_of_their_own_too() -> None:
    """One after the other, each once."""
    done: list[int] = []
    side_by_side([lambda number=number: done.append(number) for number in range(5)], 3, NoThreads)  # type: ignore[misc]  # bound early on purpose
    assert done == [0, 1, 2, 3, 4]


def test_all_tasks_have_ended_when_one_has_failed() -> None:
    """Nothing of a lane may run behind its commit; the failure is told."""
    done: list[int] = []

    def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        side_by_side([fail, *[lambda: done.append(1)] * 7], 3)
    assert len(done) == 7
