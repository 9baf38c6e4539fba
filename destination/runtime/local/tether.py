"""Children that do not outlive their parent, however it died.

A child holds the reading end of a pipe as its standard input. When the parent is gone the pipe
ends and ``watch_parent`` in the child stops it; this needs no help from the kernel and works on
Linux and macOS alike.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

PARENT_FD = "DESTINATION_PARENT_FD"
"""Set in a child's environment: the descriptor whose end means that the parent is gone."""


class Tether:
    """Starts processes that learn from a pipe when we are gone."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()  # inherited only where handed over

    def spawn(
        self, argv: Sequence[str], env: Mapping[str, str], output: IO[bytes] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start ``argv`` in its own session; raises ``OSError`` when that cannot be."""
        return subprocess.Popen(  # noqa: S603 - what to run is our own code's choice
            argv,
            env={**os.environ, **env, PARENT_FD: "0"},
            stdin=self._reading,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def cut(self) -> None:
        """End the pipe: whoever still watches it stops."""
        os.close(self._reading)
        os.close(self._writing)


def watch_parent(grace: float = 8.0) -> None:
    """In a child: get SIGTERM when the parent is gone, SIGKILL ``grace`` seconds later.

    Does nothing in a process that no ``Tether`` started, and nothing when called again.
    """
    descriptor = os.environ.pop(PARENT_FD, None)  # grandchildren are not ours to watch
    if descriptor is not None:
        threading.Thread(
            target=_watch, args=(int(descriptor), grace), name="watch-parent", daemon=True
        ).start()


def _watch(descriptor: int, grace: float) -> None:
    while os.read(descriptor, 1024):
        pass
    below = descendants(os.getpid())
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace)
    for pid, session in below.items():
        kill(pid, session)
    os.kill(os.getpid(), signal.SIGKILL)


def descendants(pid: int) -> dict[int, int]:
    """The processes below ``pid`` at this moment, nearest first, each with its session."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found = [pid]
    for each in found:
        found += children.get(each, [])
    sessions = {}
    for each in found[1:]:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            sessions[each] = os.getsid(each)
    return sessions


def kill(pid: int, session: int) -> None:
    """SIGKILL for ``pid``, unless it has ended; ``session`` tells it from a later namesake."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getsid(pid) == session:
            os.kill(pid, signal.SIGKILL)


def kill_group(leader: int) -> None:
    """SIGKILL for everything that is left of a process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _parents() -> Iterator[tuple[int, int]]:
    """Every process with its parent: from /proc where there is one, else from ``ps`` (macOS)."""
    if Path("/proc/self/stat").exists():
        for entry in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # it ended in the meantime
                after_name = entry.read_text().rpartition(")")[2]  # a name may hold anything
                yield int(entry.parent.name), int(after_name.split()[1])
        return
    listing = subprocess.run(["/bin/ps", "-Ao", "pid=,ppid="], capture_output=True, check=True)
    for line in listing.stdout.splitlines():
        pid, parent = line.split()
        yield int(pid), int(parent)
