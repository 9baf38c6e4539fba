"""Working on mappings as a user does: the commands as processes, the presets against everything."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from destination.mapping.file import read_mapping_file
from destination.pipeline import route
from destination.preview import Preview, preview
from destination.registry import DESTINATIONS
from tests.acceptance.stack import KEY, ROOT, Stack, until
from tests.contract.openapi import Contract, assert_requests_valid

KLAVIYO = DESTINATIONS["klaviyo"]
PRESETS = ROOT / "mappings" / "presets"
FILES = sorted((ROOT / "mappings").rglob("*.json"))
TOGETHER = ("ecommerce.json", "rows.json", "engage.json")


def destination(
    folder: Path, *arguments: str, given: str = "", **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, with no settings but these."""
    keep = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DESTINATION_", "KLAVIYO_", "REDIS_"))
    }
    found = subprocess.run(
        [sys.executable, "-m", "destination", *arguments],
        cwd=folder,
        env=keep | environ,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in found.stderr
    return found


def test_the_status_says_whether_mappings_hold(tmp_path: Path) -> None:
    """0 for what is shipped, 1 for what does not hold, 2 for wrong use."""
    assert destination(tmp_path, "check").returncode == 0
    assert destination(tmp_path, "check", str(ROOT / "mappings")).returncode == 0
    broken = tmp_path / "broken.json"
    text = (ROOT / "mappings" / "segment.json").read_text()
    broken.write_text(text.replace("$.traits.lastName", "$.traits.lastname"))
    found = destination(tmp_path, "check", str(broken))
    assert found.returncode == 1
    assert '-          "last_name": "Ames",' in found.stdout
    for wrong in (["nowhere.json"], ["--format", "yaml"], [str(broken), "--base", str(broken)]):
        assert destination(tmp_path, "check", *wrong).returncode == 2


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_updating_restores_a_shipped_file_byte_for_byte(file: Path, tmp_path: Path) -> None:
    """After all that its examples expect was taken away."""
    copy = tmp_path / file.name
    document = json.loads(file.read_bytes())
    for mapping in document["mappings"]:
        for example in mapping["examples"]:
            example |= {
                key: type(example[key])() for key in ("payload", "requests") & example.keys()
            }
    copy.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    assert destination(tmp_path, "check", str(copy)).returncode == 1
    assert destination(tmp_path, "check", str(copy), "--update").returncode == 0
    assert copy.read_bytes() == file.read_bytes()


def test_events_in_and_reasons_out(tmp_path: Path) -> None:
    """A line for each, without anything running."""
    events = [
        {"type": "track", "event": "Product Viewed", "userId": "u", "properties": {"name": "Mug"}},
        {"type": "page", "userId": "u", "name": "Home"},
    ]
    preset = str(PRESETS / "ecommerce.json")
    found = destination(
        tmp_path,
        *("try", "-", "--explain", "--format", "json", "--mappings", preset),
        given="\n".join(map(json.dumps, events)),
    )
    assert found.returncode == 0
    viewed, page = map(json.loads, found.stdout.splitlines())
    (delivery,) = viewed["deliveries"]
    assert delivery["mapping"] == "ecommerce/viewed-product"
    given = {each["field"]: each.get("value") for each in delivery["given"]}
    assert given["metric_name"] == "Viewed Product"
    assert page["deliveries"] == []


def test_mappings_go_to_segment_and_come_back(tmp_path: Path) -> None:
    """In its API's form and in Terraform's; what cannot go is said, not lost in silence."""
    shipped = ROOT / "mappings" / "presets" / "segment-original.json"
    before = json.loads(shipped.read_bytes())["mappings"]
    for form in ([], ["--terraform"]):
        gone = destination(tmp_path, "export", "segment", str(shipped), *form)
        assert gone.returncode == 0
        assert "Segment keeps no examples" in gone.stderr
        (tmp_path / "gone.json").write_text(gone.stdout)
        back = json.loads(destination(tmp_path, "import", "segment", "gone.json").stdout)
        assert [each["action"] for each in back["mappings"]] == [each["action"] for each in before]
        assert [each["trigger"] for each in back["mappings"]] == [
            each["trigger"] for each in before
        ]
    (tmp_path / "broken.json").write_text("{}")
    assert destination(tmp_path, "export", "segment", "broken.json").returncode == 2


def test_every_request_that_an_example_shows_is_valid(described: Contract | None) -> None:
    """By Klaviyo's own description."""
    if described is None:
        pytest.skip("Klaviyo's description is not at hand")
    checked = 0
    for file in FILES:
        mappings, _ = read_mapping_file(file.read_bytes(), str(file), KLAVIYO.actions)
        for mapping in mappings:
            ready = route(mapping, KLAVIYO.actions)
            for example in mapping.examples:
                found = preview(example.event, ready, KLAVIYO, now=1.79e9, revision="2026-07-15")
                for request in found.requests:
                    problems = described.check_request(
                        request.method, request.path, request.query, request.json
                    )
                    assert problems == [], f"{mapping.name}: {example.name}"
                    checked += 1
    assert checked > 200


@pytest.fixture
def shop(described: Contract | None) -> Iterator[Stack]:
    """An installation with three presets, which records events."""
    with tempfile.TemporaryDirectory(prefix="dst") as folder:
        stack = Stack(Path(folder))
        for file in stack.mappings.glob("*.json"):
            file.unlink()
        for name in TOGETHER:
            shutil.copy(PRESETS / name, stack.mappings)
        stack.environ["DESTINATION_RECORD_EVENTS"] = "500"
        try:
            stack.up()
            yield stack
            if described:
                assert_requests_valid(described, stack.requests())
        finally:
            stack.down()


def post(stack: Stack, events: list[dict[str, Any]]) -> dict[str, Any]:
    """Post events as a relay does, since some of them name nobody."""
    answer = stack.http.post(
        f"{stack.server}/webhooks/rudderstack/default", json=events, headers={"x-write-key": KEY}
    )
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def examples() -> list[dict[str, Any]]:
    """The events of the presets' examples under ids of their own.

    Left out are those of lists that are in no account.
    """
    found = []
    for name in TOGETHER:
        for mapping in json.loads((PRESETS / name).read_bytes())["mappings"]:
            for number, example in enumerate(mapping["examples"]):
                named = json.dumps(example["event"])
                if "Y6nRLr" not in named and "Abc123" not in named:
                    id_ = f"{name}-{mapping['name']}-{number}"
                    found.append({**example["event"], "messageId": id_})
    return found


def previews(event: dict[str, Any]) -> list[Preview]:
    """What the presets would make of an event, mapping by mapping that wants it."""
    mappings = [
        mapping
        for name in TOGETHER
        for mapping in read_mapping_file((PRESETS / name).read_bytes(), name, KLAVIYO.actions)[0]
    ]
    found = (
        preview(event, route(mapping, KLAVIYO.actions), KLAVIYO, now=1.79e9, revision="2026-07-15")
        for mapping in mappings
        if mapping.enabled
    )
    return [each for each in found if each.matched]


def test_presets_do_over_http_what_their_previews_show(shop: Stack, tmp_path: Path) -> None:
    """Every event ends as the preview says, in the sandbox; and a change to a preset shows in the
    events that were recorded.
    """
    sent = examples()
    shown = [previews(event) for event in sent]
    said = post(shop, sent)
    assert said["accepted"] == len(sent)
    assert said["unmatched"] == sum(not found for found in shown)
    connection = shop.settle()["connections"]["default"]
    refused = [each for found in shown for each in found if each.refused]
    letters = shop.http.get(f"{shop.server}/admin/dead", params={"limit": 1000}).json()["dead"]
    # The examples of several presets are about the same addresses with other ids, which Klaviyo
    # refuses as a conflict or not, depending on which of them travel together.
    ours = [
        each for each in letters if each["code"] not in {"import_rejected", "identity_conflict"}
    ]
    assert len(ours) == len(refused), shop.logs()
    assert connection["accepted"] == sum(map(len, shown))
    metrics = {metric["name"] for metric in shop.held()["metrics"]}
    assert {"Placed Order", "Ordered Product", "Viewed Product", "Renewed Plan"} <= metrics

    changed = tmp_path / "ecommerce.json"
    text = (PRESETS / "ecommerce.json").read_text()
    changed.write_text(text.replace('"event_name": "Placed Order"', '"event_name": "Bought"'))
    files = [str(changed), *(str(shop.mappings / name) for name in TOGETHER[1:])]
    settings = {"REDIS_URL": shop.redis.url, "DESTINATION_MAPPINGS": str(shop.mappings)}

    def compared() -> dict[str, Any]:
        arguments = ("check", *files, "--against", "recent", "--format", "json")
        found = destination(tmp_path, *arguments, **settings)
        assert found.returncode == 0, found.stderr
        result: dict[str, Any] = json.loads(found.stdout)
        return result

    plan = until(lambda: (it := compared())["events"] == len(sent) and it, 20, "not recorded")
    orders = [
        each
        for found in shown
        for each in found
        if each.mapping == "ecommerce/placed-order" and not each.refused
    ]
    assert plan["changed"] == len(orders) > 0
    assert (plan["added"], plan["removed"]) == (0, 0)
    assert {change["mapping"] for change in plan["changes"]} == {"ecommerce/placed-order"}
