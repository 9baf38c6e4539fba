"""``destination try``: what would be sent for an event, and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from destination.cli import cli

ROOT = Path(__file__).parents[3]
ANN = {
    "type": "identify",
    "userId": "u-1",
    "messageId": "m-1",
    "traits": {"email": "ann@acme.io", "firstName": 5},
}
DONE = {"type": "track", "event": "Done", "userId": "u-1", "messageId": "m-2", "properties": {}}

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command on text given as standard input, with the default mappings."""
    monkeypatch.chdir(tmp_path)
    mappings = str(ROOT / "mappings" / "segment.json")
    runner = CliRunner(env={"DESTINATION_MAPPINGS": mappings, "REDIS_URL": None})
    return lambda text, *arguments: runner.invoke(cli, ["try", "-", *arguments], input=text)


def lines(*bodies: dict[str, Any]) -> str:
    return "\n".join(map(json.dumps, bodies))


def test_the_requests_of_an_event_are_shown(run: Run) -> None:
    """Under each mapping that wants it."""
    found = run(lines(ANN))
    assert found.exit_code == 0
    assert "identify  (m-1)\n  segment/identify-to-profile -> upsertProfile" in found.output
    assert "POST /api/profiles" in found.output
    assert '"first_name": "5"' in found.output


def test_explaining_says_where_each_value_comes_from(run: Run) -> None:
    """What is missing, what was converted, and why other mappings do not want it."""
    said = run(lines(ANN), "--explain").output
    assert '= "ann@acme.io"  @path at /fields/email: $.traits.email' in said
    assert "$.traits.title is nothing" in said
    assert 'validation turns first_name = 5 into "5"' in said
    assert 'not wanted by segment/track-to-event: type = "track" (it is "identify")' in said


def test_many_events_are_read_line_by_line(run: Run) -> None:
    """With JSON, one line out for each in."""
    found = run(lines(ANN, DONE), "--format", "json")
    said = [json.loads(line) for line in found.output.splitlines()]
    assert [each["event"]["messageId"] for each in said] == ["m-1", "m-2"]
    assert said[1]["deliveries"][0]["mapping"] == "segment/track-to-event"
    assert said[1]["deliveries"][0]["outcome"]["end"] == "Delivered"
    assert "given" not in said[0]["deliveries"][0]


def test_reasons_are_there_for_programs(run: Run) -> None:
    """For what is wanted and for what is not."""
    (line,) = run(lines(ANN), "--explain", "--format", "json").output.splitlines()
    said = json.loads(line)
    given = {each["field"]: each for each in said["deliveries"][0]["given"]}
    assert given["email"]["place"] == "/fields/email"
    assert said["unwanted"][0]["trigger"][0]["holds"] is False


@pytest.mark.parametrize("form", ["[%s]", '{"batch": [%s]}', "%s"])
def test_arrays_and_batches_are_read(run: Run, form: str) -> None:
    """As they are posted."""
    assert "identify  (m-1)" in run(form % lines(ANN)).output


def test_what_the_server_would_refuse_is_told(run: Run) -> None:
    """Status not 0 when there is nothing else."""
    nobody = {"type": "track", "event": "Done"}
    found = run(lines(nobody))
    assert found.exit_code != 0
    assert "no_user_anon_id" in found.output
    assert run(lines(nobody, ANN)).exit_code == 0


def test_an_event_that_was_taken_in_before_is_taken_as_it_is(run: Run) -> None:
    """Such as one that was recorded, or that a webhook brought."""
    taken = {**DONE, "userId": None, "receivedAt": "2026-09-20T10:00:00.000Z"}
    assert "missing_identifier" in run(lines(taken)).output


def test_rows_become_the_events_that_mappings_see(run: Run) -> None:
    """As POST /rows/{object} makes them."""
    found = run(lines({"email": "ann@acme.io"}), "--rows", "profile", "--format", "json")
    said = json.loads(found.output)
    assert said["event"]["context"]["source"]["object"] == "profile"


def test_an_event_that_its_client_keeps_away_is_told(run: Run) -> None:
    """The preview shows what would be sent without that."""
    found = run(lines({**ANN, "integrations": {"All": False}}))
    assert "keep it from Klaviyo" in found.output


def test_what_is_no_json_is_a_sentence(run: Run) -> None:
    """With the line."""
    found = run("{}\n{nonsense\n")
    assert found.exit_code != 0
    assert "line 2" in found.output
