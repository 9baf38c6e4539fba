"""The proxy does to bytes what its weather says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.chaos.proxy import Proxy, Weather


class Echo(threading.Thread):
    """Answers every piece with itself; ``seen`` is all that came."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self.seen = b""
        self.arrived = threading.Event()

    def run(self) -> None:
        """Until the listening socket is closed."""
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                while piece := connection.recv(1000):
                    self.seen += piece
                    self.arrived.set()
                    try:
                        connection.sendall(piece)
                    except OSError:
                        break

    def close(self) -> None:
        """Stop listening."""
        if self._listening.fileno() >= 0:
            self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
        self.join(5)


@pytest.fixture
def echo() -> Iterator[Echo]:
    """A server behind the proxy."""
    found = Echo()
    found.start()
    yield found
    found.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    """A proxy before it."""
    found = Proxy(echo.address)
    found.start()
    yield found
    found.stop()


def dial(proxy: Proxy) -> socket.socket:
    """A connection through the proxy."""
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def ask(proxy: Proxy, text: bytes = b"hello") -> bytes:
    """What comes back until the connection is closed or as much came as was sent."""
    with dial(proxy) as connection:
        connection.sendall(text)
        found = b""
        while len(found) < len(text) and (piece := connection.recv(1000)):
            found += piece
        return found


def test_calm_weather_passes_everything(proxy: Proxy) -> None:
    """Both ways, and nothing is counted."""
    assert ask(proxy) == b"hello"
    assert proxy.hits == 0


def test_an_answer_is_cut(proxy: Proxy) -> None:
    """After so many bytes, as often as it was said."""
    proxy.turn(Weather(cut=2, times=1))
    assert ask(proxy) == b"he"
    assert ask(proxy) == b"hello"
    assert proxy.hits == 1


def test_a_reset_before_keeps_the_request_back(proxy: Proxy, echo: Echo) -> None:
    """The one behind never hears of it."""
    proxy.turn(Weather(reset="before"))
    with pytest.raises(ConnectionResetError):
        ask(proxy)
    assert echo.seen == b""


def test_a_reset_after_loses_only_the_answer(proxy: Proxy, echo: Echo) -> None:
    """The one behind has done what was asked."""
    proxy.turn(Weather(reset="after"))
    with pytest.raises(ConnectionResetError):
        ask(proxy)
    assert echo.seen == b"hello"


def test_a_black_hole_gives_back_what_it_swallowed(proxy: Proxy, echo: Echo) -> None:
    """What was sent arrives late, even when its sender has gone."""
    proxy.turn(Weather(black_hole=True))
    with dial(proxy) as connection:
        connection.sendall(b"late")
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(10)
    assert echo.seen == b""
    proxy.calm()
    assert echo.arrived.wait(5)
    assert echo.seen == b"late"


def test_a_trickle_brings_byte_by_byte(proxy: Proxy) -> None:
    """All of it, in the end."""
    proxy.turn(Weather(trickle=0.01))
    with dial(proxy) as connection:
        connection.sendall(b"hello")
        assert len(connection.recv(1000)) < 5
    assert ask(proxy) == b"hello"


def test_nobody_behind_is_a_reset(proxy: Proxy, echo: Echo) -> None:
    """As when a process has died."""
    echo.close()
    with pytest.raises(ConnectionError):
        ask(proxy)
