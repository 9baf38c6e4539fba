"""Two servers on one port: one may be restarted while the other goes on."""

from __future__ import annotations

import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.stack import Stack, until


class Pair(Stack):
    """Servers only, under any names, all on the one port."""

    def _command(self, _name: str) -> list[str]:
        return [*super()._command("serve"), "--reuse-port"]

    def listening(self) -> int:
        """How many listen on the port."""
        port = f":{int(self.server.rpartition(':')[2]):04X}"
        lines = Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]
        return sum(line.split()[1].endswith(port) and line.split()[3] == "0A" for line in lines)

    def status(self, name: str) -> int:
        """The status with which one has ended."""
        return self._processes.pop(name).wait(20)


pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux spreads connections over those that share a port"
)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Redis runs, and no server yet."""
    with tempfile.TemporaryDirectory(prefix="dst") as folder:
        found = Pair(Path(folder))
        try:
            found.redis.start()
            yield found
        finally:
            found.down()


def healthy(pair: Pair, times: int) -> bool:
    """Whether so many new connections are all answered 200."""
    return all(
        httpx.get(f"{pair.server}/health", trust_env=False).status_code == 200
        for _number in range(times)
    )


def test_one_stops_and_nobody_is_refused(pair: Pair) -> None:
    """Connections are spread over both, so that of fifty none may have met nobody."""
    pair.start("first")
    pair.start("second")
    until(lambda: pair.listening() == 2, 20, pair.logs)
    assert healthy(pair, 50)
    pair.kill("first", signal.SIGTERM)
    assert healthy(pair, 50)
    pair.start("first")
    assert healthy(pair, 50)


def test_a_port_that_somebody_has_for_himself_is_told(pair: Pair) -> None:
    """With what to do about it."""
    port = int(pair.server.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        pair.start("late")
        assert pair.status("late") == 2
    assert "--reuse-port as well" in pair.logs()
