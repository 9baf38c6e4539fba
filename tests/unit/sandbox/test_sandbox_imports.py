"""Bulk imports: later, in chunks, with errors by row."""

from __future__ import annotations

from typing import Any

from tests.unit.sandbox.api import Api, bulk_profiles, errors

JOBS = "/api/profile-bulk-import-jobs"


def status(api: Api, job: str) -> tuple[str, int, int]:
    """Status, completed and failed rows of a job."""
    found = api.get(f"{JOBS}/{job}")["data"]["attributes"]
    return found["status"], found["completed_count"], found["failed_count"]


def test_a_job_is_queued_then_processing_then_complete(api: Api) -> None:
    """Never within the request; the list has its members only at the end."""
    news = api.list()
    rows: list[dict[str, Any]] = [{"email": f"p{n}@acme.io", "title": "Dr"} for n in range(5000)]
    job = api.post(JOBS, bulk_profiles(rows, [news]), status=202)["data"]["id"]
    assert status(api, job) == ("queued", 0, 0)
    api.clock.advance(0.2 + 0.00002 * 3000)
    assert status(api, job) == ("processing", 2000, 0)
    assert api.sandbox.counts("main")["members"] == {news: 0}
    api.clock.advance(1)
    assert status(api, job) == ("complete", 5000, 0)
    assert api.sandbox.counts("main")["members"] == {news: 5000}
    assert len(api.get(f"{JOBS}/{job}/profiles?page[size]=100")["data"]) == 100
    api.get(f"{JOBS}/{job}/relationships/profiles")
    assert api.get(f"{JOBS}/{job}/relationships/lists")["data"] == [{"type": "list", "id": news}]
    assert api.get(f"{JOBS}/{job}?include=lists")["included"][0]["id"] == news
    api.get(f"{JOBS}/{job}/lists")
    assert len(api.get(f"{JOBS}?filter=equals(status,'complete')&sort=-created_at")["data"]) == 1


def test_one_malformed_row_refuses_the_whole_request(api: Api) -> None:
    """Every such row is named, no job is made."""
    rows: list[dict[str, Any]] = [
        {"email": "a@acme.io"},
        {"email": "nope"},
        {"phone_number": "12", "email": "b@acme.io"},
        {"first_name": "x"},
        {"email": "c@acme.io", "nope": 1},
    ]
    found = errors(api.post(JOBS, bulk_profiles(rows), status=400))
    start = "/data/attributes/profiles/data"
    assert [place for _, place in found] == [f"{start}/4/attributes/nope"]
    found = errors(api.post(JOBS, bulk_profiles(rows[:4]), status=400))
    assert [place for _, place in found] == [
        f"{start}/1/attributes/email",
        f"{start}/2/attributes/phone_number",
        f"{start}/3/attributes",
    ]
    assert api.state()["jobs"] == []


def test_rows_that_fail_later_are_told_in_pages(api: Api) -> None:
    """Twenty to a page, with the row's place and what was sent."""
    api.profile(email="a@acme.io")
    api.profile(phone_number="+12345678901")
    bad = {"email": "a@acme.io", "phone_number": "+12345678901"}
    rows: list[dict[str, Any]] = [
        bad,
        {"email": "ok@acme.io"},
        {"type": "profile", "id": "nope", "attributes": {}},
    ]
    rows += [{"email": f"s{n}@acme.io", "properties": {"__import_error": "no"}} for n in range(25)]
    job = api.post(JOBS, bulk_profiles(rows), status=202)["data"]["id"]
    api.clock.advance(1)
    assert status(api, job) == ("complete", 1, 27)
    first = api.get(f"{JOBS}/{job}/import-errors")
    assert len(first["data"]) == 20
    attributes = first["data"][0]["attributes"]
    assert attributes["source"]["pointer"] == "/data/attributes/profiles/data/0"
    assert attributes["original_payload"]["attributes"] == bad
    assert attributes["code"] == "duplicate_profile"
    cursor = first["links"]["next"].partition("page%5Bcursor%5D=")[2]
    second = api.get(f"{JOBS}/{job}/import-errors?page[cursor]={cursor}")
    assert len(second["data"]) == 7
    assert second["links"]["next"] is None


def test_nulls_are_ignored(api: Api) -> None:
    """An import cannot clear a field."""
    ann = api.profile(email="a@acme.io", title="Dr", properties={"x": 1})
    row = {"email": "a@acme.io", "title": None, "first_name": "Ann", "properties": {"x": None}}
    api.post(JOBS, bulk_profiles([row]), status=202)
    api.clock.advance(1)
    held = api.get(f"/api/profiles/{ann}")["data"]["attributes"]
    assert (held["title"], held["first_name"], held["properties"]) == ("Dr", "Ann", {"x": 1})


def test_a_job_is_gone_after_seven_days(api: Api) -> None:
    """Jobs and their errors are 404 then."""
    job = api.post(JOBS, bulk_profiles([{"email": "a@acme.io"}]), status=202)["data"]["id"]
    api.clock.advance(7 * 86_400 - 1)
    api.get(f"{JOBS}/{job}")
    api.clock.advance(1)
    api.get(f"{JOBS}/{job}", status=404)
    api.get(f"{JOBS}/{job}/import-errors", status=404)


def test_a_job_may_be_stuck_cancelled_or_gone(api: Api) -> None:
    """As the bench says."""
    api.switches.update({"jobs_stuck": True})
    job = api.post(JOBS, bulk_profiles([{"email": "a@acme.io"}]), status=202)["data"]["id"]
    api.clock.advance(3600)
    assert status(api, job) == ("processing", 0, 0)
    api.sandbox.command("jobs", {"id": job, "status": "cancelled"})
    assert status(api, job)[0] == "cancelled"
    api.sandbox.command("jobs", {"id": job, "status": "gone"})
    api.get(f"{JOBS}/{job}", status=404)


def test_counts_and_lists_are_checked_at_the_door(api: Api) -> None:
    """1 to 10,000 rows, and lists that exist."""
    rows = [{"external_id": str(n)} for n in range(10_001)]
    api.post(JOBS, bulk_profiles(rows), status=400)
    api.post(JOBS, bulk_profiles([]), status=400)
    found = errors(api.post(JOBS, bulk_profiles(rows[:1], ["NOLIST"]), status=400))
    assert found == [("List not found: NOLIST", "/data/relationships/lists/data")]
    api.post(JOBS, bulk_profiles(rows[:10_000]), status=202)
