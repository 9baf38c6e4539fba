"""``up`` and ``demo`` as a newcomer runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.stack import ROOT, free_port, until


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty working folder with a short path."""
    with tempfile.TemporaryDirectory(prefix="dst") as path:
        yield Path(path)


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Starts a command in the folder, with no setting but the mappings of the checkout.

    What a failed test left running is stopped.
    """
    started: list[subprocess.Popen[str]] = []

    def start_one(*arguments: str) -> subprocess.Popen[str]:
        started.append(launch(folder, *arguments))
        return started[-1]

    yield start_one
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=15)


def launch(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A command with no setting of this environment; what it says can be read."""
    keep = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("DESTINATION_", "KLAVIYO_", "REDIS_"))
    }
    return subprocess.Popen(
        [sys.executable, "-m", "destination", *arguments, "--mappings", str(ROOT / "mappings")],
        cwd=folder,
        env=keep,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_until_up(process: subprocess.Popen[str]) -> None:
    """Read what it says until it says that everything runs."""
    assert process.stdout
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("Ctrl-C stops everything"):
            return
    pytest.fail(f"it ended: {''.join(said)}")


def below(folder: Path) -> list[str]:
    """Processes that work in this folder."""
    found = subprocess.run(
        ["ps", "-wweo", "pid=,args="], capture_output=True, text=True, check=True
    )
    return [line for line in found.stdout.splitlines() if str(folder) in line]


def test_the_demo_shows_the_end_of_every_sample(folder: Path, start: Start) -> None:
    """Status 0, a readable report, and no process left."""
    process = start("demo", "--once", "--port", str(free_port()))
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    for words in (
        "identify",
        "POST /api/events -> 202",
        "DELIVERED",
        "DEAD: payload_invalid",
        "refused at the door",
        "unmatched",
        "pending 0",
    ):
        assert words in said
    assert below(folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_within_ten_seconds(
    folder: Path, start: Start, number: int
) -> None:
    """Server, worker, sandbox and Redis; what was accepted is there after a restart."""
    port = free_port()
    server = f"http://127.0.0.1:{port}"
    process = start("up", "--port", str(port))
    wait_until_up(process)
    event = {"type": "track", "userId": "u", "event": "Done", "messageId": "m-1"}
    assert httpx.post(f"{server}/v1/track", json=event, auth=("dev", "")).status_code == 200
    began = time.monotonic()
    process.send_signal(number)
    said, _ = process.communicate(timeout=15)
    assert time.monotonic() - began < 10
    assert process.returncode == 0, said
    assert below(folder) == []
    process = start("up", "--port", str(port))
    wait_until_up(process)
    counts = httpx.get(f"{server}/admin/counts").json()
    assert counts["connections"]["default"]["accepted"] == 1
    process.send_signal(number)
    process.communicate(timeout=15)


def test_kill_9_of_up_leaves_no_process(folder: Path, start: Start) -> None:
    """Its children notice."""
    process = start("up", "--port", str(free_port()))
    wait_until_up(process)
    assert below(folder)
    process.kill()
    process.communicate(timeout=15)
    until(lambda: not below(folder), 15, "processes were left behind")


def test_a_users_mistake_is_a_sentence(start: Start) -> None:
    """Status 2, what is wrong and what to do; no traceback."""
    process = start("up", "--host", "0.0.0.0")
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "DESTINATION_WRITE_KEY" in said
    assert "Traceback" not in said
