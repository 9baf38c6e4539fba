"""Dead letters replayed on a running installation: sketched, with any mapping, slowly, once."""

from __future__ import annotations

import datetime as dt
import json
import signal
from typing import Any

from tests.acceptance.stack import Stack, until
from tests.acceptance.test_operating import command, delivered, post


def order(number: int, **members: Any) -> dict[str, Any]:
    """A track call of the mapping that the tests change."""
    return {
        "type": "track",
        "event": "Paid",
        "userId": f"u-{number % 5}",
        "messageId": f"o-{number}",
        "properties": {"sum": number, "text": "many"},
        **members,
    }


def mapping(value: str, **fields: Any) -> dict[str, Any]:
    """A file whose mapping takes this property for the event's value."""
    return {
        "name": "paid",
        "mappings": [
            {
                "name": "paid",
                "action": "trackEvent",
                "trigger": 'type = "track" and event = "Paid"',
                "fields": {
                    "metric_name": "Paid",
                    "profile": {"external_id": {"@path": "$.userId"}},
                    "properties": {"@path": "$.properties"},
                    "unique_id": {"@path": "$.messageId"},
                    "time": {"@path": "$.timestamp"},
                    "value": {"@path": f"$.properties.{value}"},
                    **fields,
                },
            }
        ],
    }


def install(stack: Stack, document: dict[str, Any]) -> None:
    """Make this the only mapping; server and worker see it within a second."""
    for file in stack.mappings.glob("*.json"):
        file.unlink()
    (stack.mappings / "paid.json").write_text(json.dumps(document))


def restart(stack: Stack) -> None:
    """Begin with the mappings that are there."""
    for name in ("serve", "work"):
        stack.kill(name)
        stack.start(name)
    stack.wait_ready()


def killed(stack: Stack, *events: dict[str, Any]) -> None:
    """Post events that the mapping in force makes dead letters of."""
    install(stack, mapping("text"))
    restart(stack)
    post(stack, *events)
    counts = stack.settle()
    assert delivered(counts)[2] == len(events)


def values(stack: Stack) -> dict[str, Any]:
    """What Klaviyo has: each event's value and whether it was backfilled."""
    return {
        event["unique_id"]: (event["value"], event["backfill"]) for event in stack.held()["events"]
    }


def admin(stack: Stack, path: str, **wanted: Any) -> dict[str, Any]:
    """Ask an admin route."""
    answer = stack.http.post(f"{stack.server}/admin/{path}", json=wanted)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_corrected_mapping_delivers_what_failed_once(stack: Stack) -> None:
    """After a dry run that shows the difference; running it again sends nothing again."""
    ago = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=3)).isoformat()
    killed(stack, *(order(n) for n in range(120)), order(900, timestamp=ago))
    install(stack, mapping("sum"))

    dry = command(stack, "dead", "replay", "o-1", "--dry-run")
    assert dry.returncode == 2, "an id is that of the letter, not of the event"
    dry = command(stack, "dead", "replay", "default:o-1:paid/paid", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "changed since it failed" in dry.stdout
    assert '"refused": "payload_invalid"' in dry.stdout
    assert "1 would be sent" in dry.stdout

    many = command(stack, "dead", "replay", "--all")
    assert (many.returncode, "--yes" in many.stderr) == (2, True)
    assert "121 would be sent" in many.stdout
    assert delivered(stack.counts())[2] == 121

    done = command(stack, "dead", "replay", "--all", "--yes", "--rate", "1000")
    assert "121 dead letters are pending again" in done.stdout, done.stderr
    counts = stack.settle()
    assert delivered(counts) == (121, 121, 0)
    found = values(stack)
    assert {found[f"o-{n}"] for n in range(120)} == {(n, False) for n in range(120)}
    assert found["o-900"] == (900, True)
    again = command(stack, "dead", "replay", "--all", "--yes")
    assert "0 dead letters" in again.stdout
    assert len(stack.held()["events"]) == 121


def test_a_draft_delivers_what_failed_and_changes_nothing_else(stack: Stack) -> None:
    """The mapping in force stays as it is, for new events and for the other letters."""
    killed(stack, *(order(n) for n in range(6)))
    draft = stack.folder / "draft.json"
    draft.write_text(json.dumps(mapping("sum", value_currency="EUR")))
    dry = command(stack, "dead", "replay", "--mapping", str(draft), "--dry-run")
    assert '"value_currency": "EUR"' in dry.stdout, dry.stderr
    done = command(stack, "dead", "replay", "--mapping", str(draft), "--person", "u-3")
    assert "1 dead letters" in done.stdout, done.stderr
    counts = stack.settle()
    assert delivered(counts) == (6, 1, 5)
    assert values(stack) == {"o-3": (3, False)}
    post(stack, order(50))
    assert delivered(stack.settle()) == (7, 1, 6)


def test_what_fails_again_is_dead_again_and_says_so(stack: Stack) -> None:
    """As it was, after the mapping has changed; the letter tells how often it was tried."""
    killed(stack, order(1), order(2))
    install(stack, mapping("sum"))
    done = command(stack, "dead", "replay", "--code", "payload_invalid", "--as-it-was")
    assert "2 dead letters" in done.stdout, done.stderr
    counts = stack.settle()
    assert delivered(counts) == (2, 0, 2)
    listed = command(stack, "dead", "list", "--format", "json", "--since", "1h").stdout
    letters = [json.loads(line) for line in listed.splitlines()]
    assert [letter["replayed"] for letter in letters] == [1, 1]
    assert command(stack, "dead", "list", "--until", "1h").stdout.startswith("0 of 2")
    assert command(stack, "dead", "list", "--since", "soon").returncode == 2


def test_the_routes_do_the_same(stack: Stack) -> None:
    """A dry run first, then a part, then the rest; live events are no backfill."""
    ago = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=3)).isoformat()
    killed(stack, *(order(n, timestamp=ago) for n in range(5)))
    install(stack, mapping("sum"))
    stack.kill("work", signal.SIGTERM)  # a worker in its second of looking away would use the old
    stack.start("work")
    dry = admin(stack, "replay", all=True, dry_run=True, limit=2)
    assert (dry["moved"], dry["left"], len(dry["sketches"])) == (0, 3, 2)
    assert dry["sketches"][0]["end"] == "sent"
    assert dry["sketches"][0]["quiet"] is True
    some = admin(stack, "replay", source="default", limit=2)
    assert (some["moved"], some["left"]) == (2, 3)
    assert admin(stack, "replay", person="u-4", live=True)["moved"] == 1
    until(lambda: delivered(stack.counts()) == (5, 3, 2), 20, stack.logs)
    assert values(stack) == {"o-0": (0, True), "o-1": (1, True), "o-4": (4, False)}
    assert admin(stack, "discard", all=True)["moved"] == 2
    counts = stack.settle()["connections"]["default"]
    assert (counts["dead"], counts["dropped"]) == (0, 2)
    url = f"{stack.server}/admin/replay"
    for wrong in ({"all": True, "limit": 0}, {"all": True, "dry_run": 1}, {"since": "x"}):
        assert stack.http.post(url, json=wrong).status_code == 400
