"""What a row of a batch costs, counted in calls: the same in a small batch and in a large one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from destination.delivery import Delivered, Submitted
from destination.klaviyo import KLAVIYO
from destination.sending import Request, Response
from tests.unit.klaviyo.test_on_sandbox import World

FEW, MANY = 50, 400
BULK = sorted(name for name, action in KLAVIYO.actions.items() if action.batch)
PAYLOADS: dict[str, dict[str, Any]] = {
    "trackEvent": {"metric_name": "Viewed", "properties": {}, "time": "2025-11-20T10:00:00Z"},
    "orderCompleted": {"properties": {}, "products": [{"sku": "a"}]},
}


class Counted(World):
    """Counts the calls of functions, Python's and C's, but for those of the imitation itself."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.counting = False

    def send(self, request: Request) -> Response:
        """As ever, uncounted."""
        counting, self.counting = self.counting, False
        try:
            return super().send(request)
        finally:
            self.counting = counting

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count while the block runs."""

        def note(_frame: FrameType, event: str, _arg: object) -> None:
            self.calls += self.counting and event in {"call", "c_call"}

        before = sys.getprofile()
        sys.setprofile(note)
        self.counting = True
        try:
            yield
        finally:
            self.counting = False
            sys.setprofile(before)


def cost(name: str, rows: int) -> float:
    """Calls a row, all of which come to a good end."""
    world = Counted()
    # Whom the action looks up is there, and on the list.
    for start in range(0, rows, 100):
        some = range(start, min(start + 100, rows))
        world.many(
            "addProfileToList",
            [{"email": f"ana{n}@acme.io", "list_name": "News"} for n in some],
        )
    action = KLAVIYO.actions[name]
    batch = action.batch
    assert batch
    on_list = {"list_name": "News"} if "list_name" in _fields(name) else {}
    more = PAYLOADS.get(name, on_list)
    payloads = []
    for n in range(rows):
        person = {"email": f"ana{n}@acme.io"}
        whole = {**more, "profile": person} if "profile" in _fields(name) else {**more, **person}
        payloads.append(action.prepare({**whole, "unique_id": f"m-{n}"}, world.account.now))
    with world.counted():
        outcomes = batch.perform(payloads, world.account)
    jobs = {each.job: each for each in outcomes if isinstance(each, Submitted)}
    for job in jobs:
        world.settle()
        keys = [each.key for each in outcomes if isinstance(each, Submitted) and each.job == job]
        assert batch.poll
        with world.counted():
            ends = batch.poll(job, keys, world.account)
        assert isinstance(ends, list)
        assert {type(each) for each in ends} == {Delivered}
    assert {type(each) for each in outcomes} <= {Delivered, Submitted}
    return world.calls / rows


def _fields(name: str) -> set[str]:
    return {each.name for each in KLAVIYO.actions[name].fields}


@pytest.mark.parametrize("name", BULK)
def test_a_row_costs_as_much_in_a_large_batch_as_in_a_small_one(name: str) -> None:
    """Each profile that a look-up gave was looked at for each row: a thousand cost a second."""
    few, many = cost(name, FEW), cost(name, MANY)
    assert many <= few * 1.25, f"{name}: {few:.0f} calls a row of {FEW}, {many:.0f} of {MANY}"
