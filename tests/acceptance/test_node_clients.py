"""The SDKs of Segment, RudderStack and Jitsu for Node, unchanged, against the real processes.

They come from npm, so they are a lane of their own::

    npm install --prefix DIR @segment/analytics-node @rudderstack/rudder-sdk-node @jitsu/js
    python -m pytest tests/acceptance/test_node_clients.py --node=DIR
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from destination.runtime.store import connect
from tests.acceptance.guides import Block, blocks, meant
from tests.acceptance.stack import KEY, Stack, until

SCRIPTS = Path(__file__).parent / "node"
PACKAGES = ("@segment/analytics-node", "@rudderstack/rudder-sdk-node", "@jitsu/js")
Node = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="session", autouse=True)
def modules(request: pytest.FixtureRequest) -> Path:
    """The folder with the packages. Skips where node or they are absent."""
    folder: Path | None = request.config.getoption("--node", None)
    if folder is None:
        pytest.skip("needs --node=DIR, a folder in which npm has installed the SDKs")
    if shutil.which("node") is None:
        pytest.skip("needs node")
    found = folder.resolve() / "node_modules"
    missing = [name for name in PACKAGES if not (found / name).is_dir()]
    if missing:
        pytest.skip(f"needs npm install --prefix {folder} {' '.join(missing)}")
    return found


@pytest.fixture
def node(modules: Path) -> Node:
    """Starts a script for the people with numbers from the first to before the last."""

    def start(
        stack: Stack, script: str, first: int, last: int, key: str = KEY
    ) -> subprocess.Popen[str]:
        environ = {
            **os.environ,
            "NODE_PATH": str(modules),
            "URL": stack.server,
            "KEY": key,
            "FROM": str(first),
            "TO": str(last),
        }
        return subprocess.Popen(
            ["node", "-r", str(SCRIPTS / "answers.js"), str(SCRIPTS / f"{script}.js")],
            env=environ,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    return start


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for a script's good end."""
    said, _ = process.communicate(timeout=40)
    assert process.returncode == 0, said


def people(stack: Stack) -> set[str]:
    """Whose profiles the sandbox holds."""
    return {each["email"] for each in stack.held()["profiles"]}


def check(stack: Stack, count: int) -> None:
    """Everybody's profile and event has arrived, once."""
    counts = stack.settle()
    source = counts["sources"]["default"]
    assert source["accepted"] == 2 * count, (source, stack.logs())
    assert source["refused"] == 0
    assert people(stack) == {f"node{n}@acme.io" for n in range(count)}
    assert stack.held()["counts"]["events_by_metric"] == {"Signed Up": count}


@pytest.mark.parametrize("script", ["segment", "rudder"])
def test_everything_arrives_once(stack: Stack, node: Node, script: str) -> None:
    """As the SDK comes, with only address and key set."""
    finish(node(stack, script, 0, 10))
    check(stack, 10)


def test_everything_of_jitsu_arrives_once(guided: Stack, node: Node) -> None:
    """It posts each call by itself, with a key in two parts."""
    finish(node(guided, "jitsu", 0, 5, "jitsu:a-long-random-text"))
    assert guided.counts()["sources"]["jitsu"]["accepted"] == 10
    wanted = {f"node{n}@acme.io" for n in range(5)}
    until(lambda: wanted <= people(guided), 20, guided.logs())


@pytest.mark.parametrize("script", ["segment", "rudder"])
def test_nothing_is_lost_while_the_server_refuses(stack: Stack, node: Node, script: str) -> None:
    """503 while Redis stands still. Jitsu's SDK never repeats, so it is not here."""
    with connect(stack.redis.url) as client:
        pid = int(client.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: stack.http.get(f"{stack.server}/ready").status_code == 503, 10, "not 503")
        process = node(stack, script, 0, 5)
        assert process.stdout
        assert "answered 503\n" in iter(process.stdout.readline, "")
    finally:
        os.kill(pid, signal.SIGCONT)
    finish(process)
    check(stack, 5)


@pytest.mark.parametrize("script", ["segment", "rudder", "jitsu"])
def test_what_is_refused_for_good_is_not_repeated(stack: Stack, node: Node, script: str) -> None:
    """401 for a strange key: no more requests than with the right one."""
    asked = {}
    for key in (KEY, "a:stranger"):
        said, _ = node(stack, script, 0, 3, key).communicate(timeout=40)
        asked[key] = re.findall(r"answered (\d+)", said)
    if script == "jitsu":  # which takes no key without a colon
        assert asked["a:stranger"] == ["401"] * 6
    else:
        assert set(asked["a:stranger"]) == {"401"}
        assert len(asked["a:stranger"]) <= len(asked[KEY])
        check(stack, 3)


def test_nothing_is_lost_while_the_server_restarts(stack: Stack, node: Node) -> None:
    """Segment's SDK tries for some seconds; RudderStack's for less than a start takes."""
    stack.kill("serve")
    process = node(stack, "segment", 0, 5)
    stack.start("serve")
    finish(process)
    check(stack, 5)


@pytest.mark.parametrize("block", blocks("run", "js"), ids=lambda block: block.guide)
def test_the_guides_work_as_written(guided: Stack, modules: Path, block: Block) -> None:
    """Each piece of JavaScript for Node in the guides makes its profile."""
    done = subprocess.run(
        ["node", "-e", meant(block, guided)],
        env={**os.environ, "NODE_PATH": str(modules)},
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (email,) = set(re.findall(r"[\w-]+@acme\.io", block.text))
    until(lambda: email in people(guided), 20, guided.logs())
