"""A headless Chromium whose page does what a test tells it, one piece of JavaScript at a time.

The page comes from a small server of its own, as a shop's does: to our server it is a stranger.
"""

from __future__ import annotations

import contextlib
import json
import mimetypes
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PAGES = Path(__file__).parent / "pages"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
"""A browser that talks to this machine alone."""

SECONDS = 40


def chromium() -> str | None:
    """The browser's program, None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """The open page of a browser."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.commands: queue.Queue[str] = queue.Queue()
        self.said: queue.Queue[dict[str, Any]] = queue.Queue()

    def run(self, script: str) -> Any:
        """The value of an async function's body in the page. An error in it fails the test."""
        self.commands.put(script)
        said = self.said.get(timeout=SECONDS)
        assert "error" not in said, said["error"]
        return said.get("value")


class _Shop(ThreadingHTTPServer):
    """Serves a page, the packages of npm, and the commands to the page."""

    daemon_threads = True

    def __init__(self, modules: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.modules = modules
        self.page = Page(f"http://127.0.0.1:{self.server_address[1]}")


class _Handler(BaseHTTPRequestHandler):
    server: _Shop

    def do_GET(self) -> None:
        """The next command, a package's file, or a page."""
        path = self.path.partition("?")[0]
        if path == "/command":
            try:
                self._answer(self.server.page.commands.get(timeout=5).encode(), "text/plain")
            except queue.Empty:
                self._answer(b"", "text/plain")
            return
        root, name = PAGES, path.lstrip("/")
        if name.startswith("npm/"):
            root, name = self.server.modules, name.removeprefix("npm/")
        file = root / name
        kind = "text/javascript" if name.endswith(".js.txt") else mimetypes.guess_type(name)[0]
        if not file.is_file():
            self.send_error(404)
            return
        self._answer(file.read_bytes(), kind or "application/octet-stream")

    def do_POST(self) -> None:
        """What the page says."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.page.said.put(json.loads(body))
        self._answer(b"", "text/plain")

    def _answer(self, body: bytes, kind: str) -> None:
        with contextlib.suppress(ConnectionError):  # the page was left meanwhile
            self.send_response(200)
            self.send_header("content-type", f"{kind}; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Nothing: a page asks for commands all the time."""


@contextlib.contextmanager
def opened(program: str, modules: Path, page: str, query: str) -> Iterator[Page]:
    """A page of ``PAGES`` in a new browser with nothing stored."""
    shop = _Shop(modules)
    serving = threading.Thread(target=shop.serve_forever, daemon=True)
    serving.start()
    with tempfile.TemporaryDirectory(prefix="dst-browser", ignore_cleanup_errors=True) as folder:
        address = f"{shop.page.address}/{page}.html?{query}"
        log = (Path(folder) / "log").open("wb")
        browser = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={folder}/data", address],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield shop.page
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
            browser.wait(10)
            log.close()
            shop.shutdown()
            shop.server_close()
            serving.join(10)
