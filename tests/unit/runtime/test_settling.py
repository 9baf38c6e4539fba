"""How long rows wait after what was answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from destination.delivery import Delivered, Discard, Dropped, Outcome, Retry
from destination.event import decode
from destination.pipeline import backoff
from destination.runtime.delivery.connections import Exchange
from destination.runtime.delivery.settling import SEARCHING, Settling
from destination.runtime.store import Row, decode_letter, decode_row
from destination.settings import load_settings

CHANCE = 0.75
STUCK = Retry("import_stuck", "import job J is queued after 3601 s")


def settling_at(folder: Path, now: float) -> Settling:
    """Settling with the usual budget, at that unix time."""
    settings = load_settings(folder=folder, environ={}, sandbox_url="http://127.0.0.1:9")
    return Settling("default", "a", {}, settings, now, lambda: CHANCE)


def test_a_row_whose_end_stays_unknown_is_a_dead_letter_in_the_end(tmp_path: Path) -> None:
    """When attempts and hours are spent, with the last reason; not an attempt earlier."""
    most = settling_at(tmp_path, 0).settings.retry_attempts
    late = 1_000.0 + settling_at(tmp_path, 0).settings.retry_hours * 3600

    def told(attempts: int) -> list[Any]:
        row = Row(msgspec.Raw(b"{}"), "e", "web", "p", attempts, since=999.0, mapping="a")
        return settling_at(tmp_path, late).settle_job("J", [row], [STUCK]).operations

    assert told(most - 2)[0] == "park"
    what, _id, text, *_ = told(most - 1)
    assert what == "dead"
    letter = decode_letter(text)
    assert letter.code == "exhausted"
    assert "import_stuck" in letter.message


def operations(folder: Path, outcome: Retry, attempts: int) -> list[object]:
    """What is recorded for one row that failed ``attempts`` times before."""
    settling = settling_at(folder, 1_000.0)
    row = Row(msgspec.Raw(b"{}"), "e1", "web", "p", attempts=attempts, since=999.0, mapping="a")
    return settling.settle([row], [outcome], {}, [0]).operations


def waits(folder: Path, outcome: Retry, attempts: int) -> dict[str, int]:
    """Milliseconds for which the row is parked and the lane held."""
    told = operations(folder, outcome, attempts)
    after = {"park": 2, "hold": 1}
    return {
        what: int(str(told[told.index(what) + step]))
        for what, step in after.items()
        if what in told
    }


def missing_at(folder: Path, now: float, *, hours: float = 4.0, since: float = 0.0) -> list[Any]:
    """What is recorded at that time for a row whose list is not there, tried as often as may be."""
    settling = settling_at(folder, now)
    settling.settings = load_settings(
        folder=folder, environ={}, sandbox_url="http://127.0.0.1:9", missing_list_hours=hours
    )
    most = settling.settings.retry_attempts
    row = Row(msgspec.Raw(b"{}"), "e1", "web", "p", attempts=most, since=since, mapping="a")
    missing = Retry("list_not_found", "no list L", after=1800, spends=False, aside="list:L")
    record = settling.settle([row], [missing], {}, [0])
    assert settling.alarms == {("list_not_found", "list:L")}
    return record.operations


def test_a_row_waits_for_its_list_for_hours_of_its_own_and_spends_no_attempt(
    tmp_path: Path,
) -> None:
    """Then it is a dead letter that says so; with no hours at once."""
    late = 1_000.0 + 4 * 3600
    for told in (missing_at(tmp_path, 1_000.0), missing_at(tmp_path, late - 1, since=1_000.0)):
        assert told[0] == "park"
        row = decode_row(told[4])
        assert (row.attempts, row.since) == (9, 1_000.0)
    for told in (missing_at(tmp_path, late, since=1_000.0), missing_at(tmp_path, 1.0, hours=0)):
        assert told[0] == "dead"
        assert decode_letter(told[2]).code == "list_not_found"


@pytest.mark.parametrize("attempts", [0, 3, 7])
@pytest.mark.parametrize("asked", [None, 0.2, 2.0, 900.0])
def test_an_answer_never_shortens_the_usual_wait(
    tmp_path: Path, attempts: int, asked: float | None
) -> None:
    """A failing Klaviyo that asks for a fifth of a second is not asked five times a second."""
    usual = backoff(attempts + 1, CHANCE)
    found = waits(tmp_path, Retry("klaviyo_unavailable", after=asked), attempts)
    assert found == {"park": int(max(usual, asked or 0) * 1000)}


@pytest.mark.parametrize("asked", [None, 0.2, 900.0])
def test_a_lane_that_waits_as_one_keeps_to_both(tmp_path: Path, asked: float | None) -> None:
    """It waits no longer than a search does, unless more was asked for; jitter is only added."""
    usual = min(backoff(4, CHANCE), SEARCHING)
    found = waits(tmp_path, Retry("klaviyo_unavailable", after=asked, whole=True), 3)
    least = max(usual, asked or 0) * 1000
    assert least <= found["hold"] <= least + 1000


def test_what_rows_of_one_request_share_is_told_of_those_alone(tmp_path: Path) -> None:
    """Id, source, attempt, end and requests of each are its own, whoever came before it."""
    shared, other = [Exchange("POST", "/a", 202, 0.25)], [Exchange("POST", "/b", 400, 0.5)]
    rows = [
        Row(msgspec.Raw(b"{}"), name, source, name, attempts=attempts, mapping="a")
        for name, source, attempts in (
            ("e1", "web", 0),
            ('e"2', "web", 0),
            ("e3", "app", 0),
            ("e4", "web", 1),
            ("e5", "web", 0),
            ("e6", "web", 0),
            ("e7", "web", 0),
        )
    ]
    outcomes: list[Outcome] = [Delivered()] * 5
    outcomes += [Discard("rejected", "no"), Dropped("unchanged")]
    exchanges = dict.fromkeys(range(5), shared) | {5: other}
    record = settling_at(tmp_path, 1_000.0).settle(rows, outcomes, exchanges, range(len(rows)))
    entries = record.operations[record.operations.index("log") + 2]
    found = [decode(each) for each in reversed(entries.split(b"\n"))]
    told = [(each["id"], each["source"], each["attempt"], each["outcome"]) for each in found]
    assert told == [
        ("e1", "web", 1, "delivered"),
        ('e"2', "web", 1, "delivered"),
        ("e3", "app", 1, "delivered"),
        ("e4", "web", 2, "delivered"),
        ("e5", "web", 1, "delivered"),
        ("e6", "web", 1, "dead"),
        ("e7", "web", 1, "dropped"),
    ]
    requests = [each["requests"] for each in found]
    assert requests == [[["POST", "/a", 202]]] * 5 + [[["POST", "/b", 400]], []]
