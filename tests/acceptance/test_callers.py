"""Callers of every kind against the real processes: the guides as written, and what they promise."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import Any

import pytest

from tests.acceptance.guides import Block, blocks, meant
from tests.acceptance.stack import Stack, until


def run(block: Block, stack: Stack) -> str:
    """Run a block of a guide; it must succeed. Gives what it printed."""
    text = meant(block, stack)
    command = (
        ["bash", "-euo", "pipefail", "-c", text]
        if block.kind == "sh"
        else [sys.executable, "-W", "error", "-c", text]
    )
    if shutil.which("curl") is None or shutil.which("openssl") is None:
        pytest.skip("the guides use curl and openssl, which are not both here")
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{stack.logs()}"
    return done.stdout


ARRIVED = {
    "segment-sdks": {"python@acme.io"},
    "segment-webhooks": {"webhook@acme.io"},
    "rudderstack": {"rudder@acme.io", "rudder-webhook@acme.io"},
    "jitsu": {"jitsu-http@acme.io", "jitsu-hook@acme.io"},
    "shopify": {"shopify@acme.io"},
    "rows": {"row-1@acme.io", "row-2@acme.io", "row-3@acme.io", "row-4@acme.io"},
    "hightouch": {"hightouch@acme.io", "hightouch-rpc@acme.io"},
    "census": {"census@acme.io"},
    "curl": {"curl@acme.io", "gzip@acme.io"},
}
"""Whose profiles each guide's commands make."""


def settled(stack: Stack) -> dict[str, Any]:
    """Everything that the sandbox holds once nothing is pending, in any connection."""

    def calm() -> bool:
        connections = stack.counts()["connections"].values()
        return all(each["pending"] == 0 for each in connections)

    until(calm, 40, stack.logs())
    return stack.held()


@pytest.mark.parametrize("guide", ARRIVED)
def test_every_guide_works_as_written(guided: Stack, guide: str) -> None:
    """Its commands succeed and its people arrive."""
    for block in blocks("run", "sh", "python"):
        if block.guide == guide:
            run(block, guided)
    people = {each["email"] for each in settled(guided)["profiles"]}
    assert ARRIVED[guide] - people == set()


def test_every_guide_is_tried() -> None:
    """Whoever adds a guide says what must come of it."""
    assert {block.guide for block in blocks("run", "sh", "python")} == set(ARRIVED)


def test_rows_can_be_waited_for(guided: Stack) -> None:
    """The real worker ends them, and the answer says how: one delivered, one dead."""
    rows = [{"email": "waited@acme.io"}, {"email": "no address"}]
    answer = guided.http.post(
        f"{guided.server}/rows/profile?wait=20",
        json=rows,
        headers={"authorization": "Bearer a-key-for-rows"},
        timeout=30,
    )
    results = answer.json()["results"]
    ends = [each["deliveries"][0] for each in results]
    assert [each["outcome"] for each in ends] == ["delivered", "dead"], answer.text
    assert ends[1]["code"] == "payload_invalid"


def test_an_audience_makes_its_list_and_fills_it(guided: Stack) -> None:
    """Create, get, and then the members by the id that create answered."""
    url = f"{guided.server}/webhooks/segment/segment"
    token = {"token": "YOUR_SIGNING_SECRET"}
    made = guided.http.post(f"{url}/audiences/create", json={**token, "audienceName": "Gold"})
    id_ = made.json()["externalId"]
    again = guided.http.post(f"{url}/audiences/create", json={**token, "audienceName": "Gold"})
    found = guided.http.post(f"{url}/audiences/get", json={**token, "externalId": id_})
    assert again.json() == found.json() == {"externalId": id_}
    event = {
        "type": "track",
        "event": "Audience Entered",
        "userId": "u-gold",
        "messageId": "gold-1",
        "properties": {"audience_key": "gold", "gold": True},
        "context": {
            "traits": {"email": "gold@acme.io"},
            "personas": {
                "computation_class": "audience",
                "computation_key": "gold",
                "external_audience_id": id_,
            },
        },
    }
    guided.http.post(url, json=event, headers={"x-write-key": "a-key-for-functions"})
    held = settled(guided)
    (gold,) = [each for each in held["lists"] if each["name"] == "Gold"]
    assert gold["id"] == id_
    assert len(gold["members"]) == 1
    gone = guided.http.post(f"{url}/audiences/get", json={**token, "externalId": "Nowh3r"})
    assert (gone.status_code, gone.json()["code"]) == (404, "list_not_found")


def test_census_finds_the_account(guided: Stack) -> None:
    """The connection is tested with Klaviyo, and its lists are offered by name."""

    def call(method: str) -> Any:
        answer = guided.http.post(
            f"{guided.server}/rpc/census",
            json={"jsonrpc": "2.0", "id": 1, "method": method, "params": {}},
            headers={"authorization": "Bearer a-key-for-rows"},
        )
        return answer.json()["result"]

    assert call("test_connection") == {"success": True}
    created = guided.http.post(
        f"{guided.server}/webhooks/segment/segment/audiences/create",
        json={"token": "YOUR_SIGNING_SECRET", "audienceName": "Silver"},
    )
    assert created.status_code == 200
    assert "List: Silver" in [each["label"] for each in call("list_objects")["objects"]]
