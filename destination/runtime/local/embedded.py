"""The embedded Redis: a real server of our own, for one machine, whose data outlives it.

It listens on a unix socket in the data folder, mode 700, with an append-only file and without
eviction. A keeper process (``keeper.py``) runs it, so it survives kill -9 of the server and ends
with the last process that needs it.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self
from urllib.parse import quote

from destination.errors import SettingsError
from destination.runtime.local.keeper import (
    LOG,
    OLDEST,
    SERVER_GRACE,
    SOCKET,
    answers,
    shut_down_unkept,
)
from destination.runtime.local.processes import Child
from destination.runtime.local.tether import Tether

if TYPE_CHECKING:
    from redis import Redis

LONGEST_SOCKET = 100
"""Bytes of a unix socket's path that every system takes (macOS 103, Linux 107)."""


class EmbeddedRedis:
    """The Redis that keeps its data in ``folder``.

    Several, in one process or many, with the same folder share one server. ``appendfsync`` is
    ``always`` (an answered write survives a power cut; measured on a fast disk it costs 0.2 to
    0.3 ms a script call, however many events the call holds) or ``everysec`` (a power cut may
    lose a second). With a full disk ``always`` ends the server until there is room again, and
    ``everysec`` refuses writes; neither loses what was answered (both measured). Either hand ``child()`` to a ``Supervisor`` or use it as a context manager.
    """

    def __init__(
        self, folder: Path, *, maxmemory: str = "512mb", appendfsync: str = "always"
    ) -> None:
        self.folder = folder.resolve()
        self._options = (maxmemory, appendfsync)
        self._tether: Tether | None = None
        self._keeper: subprocess.Popen[bytes] | None = None

    @cached_property
    def _socket(self) -> str:
        path = str(self.folder / SOCKET)
        return path if len(os.fsencode(path)) <= LONGEST_SOCKET else _shortened(self.folder)

    @property
    def url(self) -> str:
        """What redis-py's ``from_url`` takes; the same for everybody who uses the folder."""
        return "unix://" + quote(self._socket)

    def child(self, *, order: int = 9) -> Child:
        """The keeper as a supervisor's child; the others need lower orders, to stop before it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        module = "destination.runtime.local.keeper"
        argv = [sys.executable, "-m", module, str(self.folder), *self._options]
        return Child("redis", argv, order=order, grace=SERVER_GRACE + 1)

    def ready(self) -> bool:
        """Whether the server answers and has loaded its data."""
        return answers(self._socket)

    def start(self, timeout: float = 60) -> None:
        """Start the server, or join the one that runs; returns when it answers.

        Raises ``SettingsError`` with the reason and the remedy when it does not.
        """
        with tempfile.TemporaryFile() as said:
            self._tether = Tether()
            self._keeper = self._tether.spawn(self.child().argv, {}, said)
            deadline = time.monotonic() + timeout
            while not self.ready():
                if self._keeper.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise SettingsError(_failure(said, self.folder, timeout))
                time.sleep(0.002)

    def stop(self, timeout: float = 10) -> None:
        """Need the server no longer: it ends unless others do. Its data stays."""
        if self._keeper is None or self._tether is None:
            return
        killed = self._keeper.poll() is not None
        self._keeper.terminate()
        try:
            self._keeper.wait(timeout)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        if killed:
            shut_down_unkept(self.folder, self._socket)
        self._tether.cut()
        self._keeper = self._tether = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _failure(said: IO[bytes], folder: Path, timeout: float) -> str:
    said.seek(0)
    text = said.read().decode(errors="replace").strip()
    return text or (
        f"the embedded Redis in {folder} did not answer within {timeout:g} s;"
        f" see {folder / LOG}, or set REDIS_URL"
    )


def _shortened(folder: Path) -> str:
    """A socket path through a symbolic link, for a folder whose own path is too long for one."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    name = hashlib.blake2b(os.fsencode(folder), digest_size=6).hexdigest()
    link = Path(base) / f"destination-{os.getuid()}-{name}"
    try:
        link.symlink_to(folder)
    except FileExistsError:
        pass
    except OSError as error:
        raise SettingsError(_too_long(folder, f"{link} cannot be made ({error})")) from error
    if link.lstat().st_uid != os.getuid() or link.readlink() != folder:
        raise SettingsError(_too_long(folder, f"{link} is somebody else's"))
    path = str(link / SOCKET)
    if len(os.fsencode(path)) > LONGEST_SOCKET:
        raise SettingsError(_too_long(folder, f"so is {link}"))
    return path


def _too_long(folder: Path, why: str) -> str:
    return (
        f"the path {folder} is too long for a unix socket, and {why}."
        " Set DESTINATION_DATA_DIR to a shorter one."
    )


def probe(redis: Redis, *, accept_volatile: bool = False) -> list[str]:
    """What makes a Redis unfit to hold accepted events; empty when it is fit. See ``unfit``."""
    return unfit(redis.info(), accept_volatile=accept_volatile)


def unfit(info: Mapping[str, Any], *, accept_volatile: bool = False) -> list[str]:
    """The same from an answer to INFO: a sentence with the remedy for each problem."""
    problems = []
    version = re.match(r"(\d+)\.(\d+)", str(info.get("redis_version")))
    if version and (int(version[1]), int(version[2])) < OLDEST:
        problems.append(
            f"Redis {info['redis_version']} is older than {OLDEST[0]}.{OLDEST[1]}: upgrade it."
        )
    if not info.get("aof_enabled") and not accept_volatile:
        problems.append(
            "Redis keeps no append-only file and forgets accepted events when it dies:"
            " set `appendonly yes`, or DESTINATION_ACCEPT_VOLATILE=true if that is meant."
        )
    if info.get("aof_last_write_status", "ok") != "ok":
        problems.append("Redis could not write its append-only file: is its disk full?")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        problems.append(
            f"Redis throws accepted events away when it is full (maxmemory-policy {policy}):"
            " set `maxmemory-policy noeviction`."
        )
    return problems


def remarks(info: Mapping[str, Any]) -> list[str]:
    """What an operator should know about a Redis that is fit."""
    advice = []
    if not info.get("maxmemory"):
        advice.append(
            "Redis has no maxmemory, so nothing is refused before the machine runs out:"
            " set `maxmemory`, for example to half of its memory."
        )
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        advice.append(
            "Redis could not save its last snapshot, and while it has `save` settings it refuses"
            ' writes until it can: is its disk full? The append-only file needs no `save`: `save ""`.'
        )
    return advice
