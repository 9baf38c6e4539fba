"""The SDKs of Segment, RudderStack and Jitsu for browsers, unchanged, in a real Chromium.

A lane of its own: it needs Chromium (``apt-get install chromium``) and packages of npm::

    npm install --prefix DIR @segment/analytics-next @rudderstack/analytics-js @jitsu/js
    python -m pytest tests/acceptance/test_browser_clients.py --node=DIR
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from destination.runtime.store import connect
from tests.acceptance.browser import Page, chromium, opened
from tests.acceptance.guides import Block, blocks, meant
from tests.acceptance.stack import Stack, until

PACKAGES = ("@segment/analytics-next", "@rudderstack/analytics-js", "@jitsu/js")
KEY = "page:a-public-key"
WEBSITE = f"""
[sources.website]
write_keys = ["{KEY}", "a-public-key"]
kind = "browser"
"""
Shop = Callable[[Stack, str], AbstractContextManager[Page]]


@pytest.fixture(scope="session", autouse=True)
def modules(request: pytest.FixtureRequest) -> Path:
    """The folder with the packages. Skips where a browser or they are absent."""
    folder: Path | None = request.config.getoption("--node", None)
    if folder is None:
        pytest.skip("needs --node=DIR, a folder in which npm has installed the SDKs")
    if chromium() is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    found = folder.resolve() / "node_modules"
    missing = [name for name in PACKAGES if not (found / name).is_dir()]
    if missing:
        pytest.skip(f"needs npm install --prefix {folder} {' '.join(missing)}")
    return found


@pytest.fixture
def shop(modules: Path) -> Shop:
    """Opens a page with the SDK that ``sdk`` names, in the mode behind its blank."""

    def open_(stack: Stack, sdk: str) -> AbstractContextManager[Page]:
        page, _, strategy = sdk.partition(" ")
        query = f"server={stack.server}&key={KEY}&strategy={strategy}"
        return opened(str(chromium()), modules, page, query)

    return open_


@pytest.fixture(autouse=True)
def website(tmp_path: Path) -> Iterator[Stack]:
    """An installation with a source for pages."""
    found = Stack(tmp_path)
    (tmp_path / "destination.toml").write_text(WEBSITE)
    try:
        found.up()
        yield found
    finally:
        found.down()


def source(stack: Stack) -> dict[str, int]:
    """The counts of the page's source."""
    zero = {"received": 0, "accepted": 0, "duplicate": 0, "refused": 0}
    found: dict[str, int] = stack.counts()["sources"].get("website", zero)
    return found


def send(page: Page, first: int, last: int) -> None:
    """An identify and a track for each of these people."""
    page.run(f"await send({first}, {last})")


def accepted(stack: Stack, page: Page, people: int) -> None:
    """Wait until everything about so many people is stored."""
    until(
        lambda: source(stack)["accepted"] == 2 * people,
        40,
        lambda: f"{source(stack)} {page.run('return answers')}\n{stack.logs()}",
    )


def check(stack: Stack, people: int) -> None:
    """Everybody's profile and event has arrived, once."""
    stack.settle()
    held = stack.held()
    assert {each["email"] for each in held["profiles"]} == {
        f"browser{n}@acme.io" for n in range(people)
    }
    assert held["counts"]["events_by_metric"] == {"Signed Up": people}


def answers(page: Page) -> list[Any]:
    """The status of every answer of the server to the page; 0 where there was none."""
    found: list[Any] = page.run("return answers")
    return found


@pytest.mark.parametrize(
    "sdk", ["segment", "segment batching", "rudder", "rudder batching", "rudder beacon", "jitsu"]
)
def test_everything_arrives_once(website: Stack, shop: Shop, sdk: str) -> None:
    """As the SDK comes, with addresses and key set."""
    with shop(website, sdk) as page:
        send(page, 0, 5)
        accepted(website, page, 5)
        assert set(answers(page)) == {200}
    assert source(website)["received"] == 10
    check(website, 5)


@pytest.mark.parametrize("sdk", ["segment", "segment batching", "rudder", "rudder batching"])
def test_everything_arrives_once_through_trouble(website: Stack, shop: Shop, sdk: str) -> None:
    """200; 413 for one that is too large, which is not tried again; 503 while Redis stands still;
    no answer while the server is away. Jitsu's SDK repeats nothing, so it is not here.
    """
    with shop(website, sdk) as page:
        send(page, 0, 2)
        accepted(website, page, 2)
        page.run("analytics.track('Too Large', { text: 'x'.repeat(5 * 1024 * 1024) })")
        until(lambda: 413 in answers(page), 20, lambda: str(answers(page)))

        with connect(website.redis.url) as client:
            pid = int(client.info("server")["process_id"])
        os.kill(pid, signal.SIGSTOP)
        try:
            send(page, 2, 4)
            until(lambda: 503 in answers(page), 20, lambda: str(answers(page)))
        finally:
            os.kill(pid, signal.SIGCONT)
        accepted(website, page, 4)

        website.kill("serve")
        send(page, 4, 6)
        until(lambda: 0 in answers(page), 20, lambda: str(answers(page)))
        website.start("serve")
        until(lambda: website._status(f"{website.server}/ready") == 200, 20, website.logs)
        accepted(website, page, 6)
        assert answers(page).count(413) == 1
    check(website, 6)


@pytest.mark.parametrize("sdk", ["segment batching", "rudder beacon"])
def test_what_waits_is_sent_when_the_page_is_left(website: Stack, shop: Shop, sdk: str) -> None:
    """A batch that is not full goes with the last breath of the page."""
    with shop(website, sdk) as page:
        send(page, 0, 1)
        accepted(website, page, 1)
        page.run("send(1, 2); setTimeout(() => { location.href = '/left.html' }, 20)")
        until(lambda: source(website)["accepted"] == 4, 20, website.logs)
    check(website, 2)


@pytest.mark.parametrize("block", blocks("browser", "js"), ids=lambda block: block.guide)
def test_the_guides_work_as_written(website: Stack, shop: Shop, block: Block) -> None:
    """Each piece of JavaScript for browsers in the guides makes its profile."""
    text = meant(block, website).replace("events.example.com", website.server.partition("//")[2])
    module = json.dumps(text.replace("protocol: 'https'", "protocol: 'http'"))
    (email,) = set(re.findall(r"[\w-]+@acme\.io", block.text))
    with shop(website, "guide") as page:
        page.run(f"""
            const piece = new Blob([{module}], {{ type: 'text/javascript' }})
            await import(URL.createObjectURL(piece))
        """)
        until(lambda: source(website)["accepted"] == 1, 20, website.logs)
    website.settle()
    assert [each["email"] for each in website.held()["profiles"]] == [email]
