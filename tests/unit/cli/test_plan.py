"""``destination check --against``: what a change to mappings would change in what is sent."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from destination.cli import cli
from destination.cli.planned import SHOWN
from destination.event import encode
from destination.runtime.local.embedded import EmbeddedRedis
from destination.runtime.recent_events import Recorded, recorded_key
from destination.runtime.store import connect

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """A real Redis; its folder is short, since socket paths are."""
    with tempfile.TemporaryDirectory(prefix="dst") as folder, EmbeddedRedis(Path(folder)) as server:
        yield server.url


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> Run:
    """Run the command where ``mappings`` holds a mapping of identify calls."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "mappings" / "f.json")
    runner = CliRunner(env={"DESTINATION_MAPPINGS": None, "REDIS_URL": redis_url})
    return lambda *arguments: runner.invoke(cli, ["check", *map(str, arguments)])


def write(path: Path, *more: dict[str, Any], **fields: Any) -> Path:
    """A file with a mapping that saves profiles with these fields as well, and others."""
    mapping = {
        "name": "m",
        "action": "upsertProfile",
        "trigger": 'type = "identify"',
        "fields": {"email": {"@path": "$.traits.email"}, **fields},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"name": "f", "mappings": [mapping, *more]}))
    return path


def event(number: int, **traits: Any) -> dict[str, Any]:
    traits = {"email": f"p{number}@acme.io", **traits}
    return {"type": "identify", "userId": f"u{number}", "messageId": f"m{number}", "traits": traits}


def events(path: Path, *bodies: dict[str, Any]) -> Path:
    path.write_text("\n".join(json.dumps(body) for body in bodies))
    return path


TITLE = {"title": {"@path": "$.traits.title"}}
SUBSCRIBE = {
    "name": "subscribe",
    "action": "subscribeProfile",
    "trigger": 'type = "identify"',
    "fields": {"email": {"@path": "$.traits.email"}},
}


def test_a_change_is_shown_for_each_event_that_it_concerns(run: Run, tmp_path: Path) -> None:
    """With the difference of the request, and sums; seeing changes is no failure."""
    changed = write(tmp_path / "new.json", **TITLE)
    file = events(tmp_path / "e.ndjson", event(1, title="Dr"), event(2))
    found = run(changed, "--against", file)
    assert found.exit_code == 0
    assert "~ f/m: changed POST /api/profiles" in found.output
    assert '+        "title": "Dr"' in found.output
    assert "m2" not in found.output
    assert "2 events, 1 with changes; requests: 0 added, 1 changed, 0 removed" in found.output


def test_added_and_removed_requests_are_told_apart(run: Run, tmp_path: Path) -> None:
    """By mapping; the files stand for all mappings after the change."""
    file = events(tmp_path / "e.ndjson", event(1))
    more = write(tmp_path / "more.json", SUBSCRIBE)
    added = run(more, "--against", file)
    assert "+ f/subscribe: added POST /api/profile-subscription-bulk-create-jobs" in added.output
    assert "f/subscribe: 1 added" in added.output
    removed = run("--base", more, "--against", file)
    assert "- f/subscribe: removed" in removed.output
    assert "0 added, 0 changed, 1 removed" in removed.output


def test_equal_mappings_change_nothing(run: Run, tmp_path: Path) -> None:
    """Wherever they stand."""
    file = events(tmp_path / "e.ndjson", event(1))
    found = run(write(tmp_path / "same.json"), "--against", file)
    assert found.output.strip() == (
        "1 event, 0 with changes; requests: 0 added, 0 changed, 0 removed"
    )


def test_a_folder_means_what_it_means_to_the_server(run: Run, tmp_path: Path) -> None:
    """Presets in a folder below are not in use."""
    file = events(tmp_path / "e.ndjson", event(1, title="Dr"))
    write(tmp_path / "new" / "f.json")
    write(tmp_path / "new" / "presets" / "g.json", SUBSCRIBE, **TITLE)
    for arguments in ((tmp_path / "new",), ("--base", tmp_path / "new")):
        assert "0 with changes" in run(*arguments, "--against", file).output


def test_the_list_is_bounded_and_the_sums_are_not(run: Run, tmp_path: Path) -> None:
    """JSON lists every change."""
    changed = write(tmp_path / "new.json", **TITLE)
    bodies = [event(number, title="Dr") for number in range(SHOWN + 5)]
    file = events(tmp_path / "e.ndjson", *bodies)
    found = run(changed, "--against", file)
    assert found.output.count("~ f/m") == SHOWN
    assert "5 more events with changes" in found.output
    said = json.loads(run(changed, "--against", file, "--format", "json").output)
    assert (said["events"], said["with_changes"], said["changed"]) == (25, 25, 25)
    assert len(said["changes"]) == 25
    assert said["changes"][0]["event"] == "m0"
    assert said["changes"][0]["after"]["json"]["data"]["attributes"]["title"] == "Dr"


def test_recorded_events_are_run_through_both(run: Run, tmp_path: Path, redis_url: str) -> None:
    """With the actions that their source may cause, and no others."""
    (tmp_path / "destination.toml").write_text(
        '[sources.web]\nwrite_keys = ["k"]\nkind = "browser"\n'
        '[sources.app]\nwrite_keys = ["l"]\n[connections.default]\n'
    )
    client = connect(redis_url)
    client.delete(recorded_key("default"))
    for source, number in (("web", 1), ("app", 2), ("gone", 3)):
        client.lpush(recorded_key("default"), encode(Recorded(source, event(number))))
    client.close()
    more = write(tmp_path / "more.json", SUBSCRIBE)
    said = json.loads(run(more, "--against", "recent", "--format", "json").output)
    assert said["events"] == 3
    assert [change["event"] for change in said["changes"]] == ["m2", "m3"]


def test_without_recorded_events_it_says_what_to_set(
    run: Run, tmp_path: Path, redis_url: str
) -> None:
    """Instead of reporting that nothing changes."""
    client = connect(redis_url)
    client.delete(recorded_key("default"))
    client.close()
    found = run(write(tmp_path / "new.json"), "--against", "recent")
    assert found.exit_code != 0
    assert "DESTINATION_RECORD_EVENTS" in found.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("--against", "e.ndjson"),
        ("--base", "mappings"),
        ("mappings", "--against", "e.ndjson", "--format", "junit"),
        ("mappings", "--against", "e.ndjson", "--connection", "none"),
    ],
)
def test_wrong_use_is_refused(run: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """With what to do instead."""
    events(tmp_path / "e.ndjson", event(1))
    found = run(*arguments)
    assert found.exit_code == 2
    assert "Usage:" in found.output


def test_broken_mappings_and_files_are_told(run: Run, tmp_path: Path) -> None:
    """As sentences."""
    file = events(tmp_path / "e.ndjson", event(1))
    broken = write(tmp_path / "new.json", email="nobody")
    assert "is not an e-mail address" in run(broken, "--against", file).output
    (tmp_path / "bad.ndjson").write_text('{"type": "identify"}\n{oops\n')
    found = run(write(tmp_path / "new.json"), "--against", tmp_path / "bad.ndjson")
    assert "neither JSON nor JSON lines: line 2" in found.output
    assert "Error: none.ndjson: No such file" in run("mappings", "--against", "none.ndjson").output
