"""The sandbox as a process on loopback, for peers that need a real network."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

START_SECONDS = 20


@contextmanager
def sandbox_process(
    *arguments: str, port: int | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """``(base URL, process)`` of a sandbox that ends with the block."""
    port = port or free_port()
    command = [sys.executable, "-m", "destination.sandbox", "--port", str(port), *arguments]
    process = subprocess.Popen(command)
    try:
        wait_until_up(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait(10)


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until_up(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return once the sandbox answers; raises ``TimeoutError``."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"{url}/sandbox/counts", timeout=1)
        except httpx.TransportError:
            # Nothing announces that a listener is there; the next try is the question itself.
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(f"no sandbox at {url} after {START_SECONDS} s, exit {process.poll()}")
