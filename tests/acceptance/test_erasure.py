"""Forgetting a person on a running installation: nothing is left in Redis, nor in its files."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

from tests.acceptance.stack import Stack, until
from tests.acceptance.test_operating import command, identify, post, track

EMAIL = "person7@acme.io"


def traces(stack: Stack, word: str) -> list[bytes]:
    """The keys whose stored form holds a word, as Redis would dump them."""
    client: Any = stack.client()
    client.config_set("rdbcompression", "no")
    return [
        key
        for key in client.scan_iter(count=1000)
        if word.encode() in key or word.encode() in (client.dump(key) or b"")
    ]


def files_with(folder: Path, word: str) -> list[str]:
    """Redis' own files that hold a word."""
    return [
        path.name
        for path in folder.rglob("*")
        if path.is_file() and word.encode() in path.read_bytes()
    ]


def halt(stack: Stack, revoked: bool) -> None:
    """Let Klaviyo refuse the key, so that what is posted stays pending."""
    url = f"{stack.sandbox}/sandbox/keys"
    stack.http.post(url, json={"key": "pk_test", "revoked": revoked}).raise_for_status()


def test_a_person_is_forgotten_while_everything_runs(stack: Stack) -> None:
    """Pending and dead, in memory and on disk; everybody else's events arrive."""
    post(stack, {**identify(7, email="person7@acme.io, or so"), "messageId": "bad"})
    stack.settle()
    halt(stack, True)
    post(stack, *(track(number) for number in range(20)), *(identify(n) for n in range(20)))
    until(lambda: stack.client().exists("destination:default:halt"), 20, stack.logs())
    assert traces(stack, EMAIL)

    shown = command(stack, "erase", "--email", EMAIL, "--user-id", "u-7", "--format", "json")
    assert shown.returncode == 0, shown.stderr
    dry = json.loads(shown.stdout)
    assert (dry["pending"], dry["dead"]) == (2, 1)
    assert traces(stack, EMAIL)

    done = command(stack, "erase", "--email", EMAIL, "--user-id", "u-7", "--yes")
    assert done.returncode == 0, done.stderr
    assert EMAIL not in done.stdout
    assert "sha256" in done.stdout
    assert traces(stack, EMAIL) == []
    until(lambda: not files_with(stack.folder / "redis", EMAIL), 20, "still in Redis' files")

    halt(stack, False)
    stack.client().hset("destination:default:halt", "probe_at", 0)
    lanes: Any = stack.client().smembers("destination:lanes")
    stack.client().zadd("destination:due", dict.fromkeys(lanes, 0))
    counts = stack.settle()["connections"]["default"]
    assert (counts["delivered"], counts["dropped"], counts["dead"]) == (38, 3, 0)
    people = {profile["email"] for profile in stack.held()["profiles"]}
    assert people == {f"person{number}@acme.io" for number in range(20) if number != 7}


def test_what_an_erased_person_did_before_does_not_bring_them_back(stack: Stack) -> None:
    """Not the same event again, nor an older one that comes late; what they do anew is welcome."""
    before = dt.datetime.now(dt.UTC).isoformat()
    halt(stack, True)
    first = {**identify(7), "messageId": "first"}
    post(stack, first, {**track(7), "messageId": "bought"})
    until(lambda: stack.client().exists("destination:default:halt"), 20, stack.logs())
    done = command(stack, "erase", "--email", EMAIL, "--user-id", "u-7", "--yes")
    assert done.returncode == 0, done.stderr
    stack.client().delete("destination:default:halt")
    halt(stack, False)
    stack.client().delete("destination:default:halt")
    post(stack, first, {**identify(7), "messageId": "offline", "timestamp": before})
    post(stack, {**track(7), "messageId": "bought"})
    counts = stack.settle()["connections"]["default"]
    assert (counts["delivered"], counts["dropped"]) == (0, 5)
    assert sum(each["reasons"]["dropped:erased"] for each in counts["mappings"].values()) == 5
    assert stack.held()["profiles"] == []
    assert traces(stack, EMAIL) == []
    post(stack, {**identify(7), "messageId": "again"})
    stack.settle()
    assert [each["email"] for each in stack.held()["profiles"]] == [EMAIL]


def test_copies_of_audiences_on_this_machine_go_too(stack: Stack) -> None:
    """Only those that mention the person; the dry run names them."""
    folder = stack.folder / ".destination" / "mirrors" / "fetched"
    folder.mkdir(parents=True)
    held = {
        "by-address.csv": f"email,name\nx@acme.io,X\n{EMAIL.upper()},Seven\n",
        "by-id.rejected.csv": "external_id;line\n'u-7;2\n",
        "by-phone.ndjson": '{"phone_number":"+1 415 555 0100"}\n',
        "others.csv": f"email\nnot-{EMAIL}\nu-77\n",
    }
    for name, text in held.items():
        (folder / name).write_text(text)
    who = ("--email", EMAIL, "--user-id", "u-7", "--phone", "+14155550100")
    dry = command(stack, "erase", *who)
    assert dry.stdout.count("would be removed") == 3
    assert len(list(folder.iterdir())) == 4
    done = command(stack, "erase", *who, "--yes")
    assert done.returncode == 0, done.stderr
    assert [file.name for file in folder.iterdir()] == ["others.csv"]


def test_a_delete_event_has_klaviyo_and_us_forget(stack: Stack) -> None:
    """The request for deletion itself is delivered; then nothing is left here."""
    stack.environ["DESTINATION_ERASE_ON_DELETE"] = "true"
    (stack.mappings / "privacy.json").write_text(
        json.dumps(
            {
                "name": "privacy",
                "mappings": [
                    {
                        "name": "delete",
                        "action": "deleteProfile",
                        "trigger": 'type = "delete"',
                        "fields": {"email": {"@path": "$.traits.email"}},
                    }
                ],
            }
        )
    )
    for name in ("serve", "work"):
        stack.kill(name)
        stack.start(name)
    stack.wait_ready()
    post(stack, identify(7))
    stack.settle()
    post(stack, identify(7, phone="+1 nonsense", email="no address"), track(7))
    stack.settle()
    gone = {"type": "delete", "userId": "u-7", "messageId": "d-7", "traits": {"email": EMAIL}}
    post(stack, gone)
    until(lambda: not stack.client().exists("destination:erasures"), 20, stack.logs())
    counts = stack.settle()["connections"]["default"]
    assert counts["dead"] == 0
    deletions = [r for r in stack.requests() if r["operation"] == "request_profile_deletion"]
    assert [r["status"] for r in deletions] == [202]
    assert traces(stack, EMAIL) == []
