"""Redis: F05 to F12."""

from __future__ import annotations

import resource
import threading
import time
from pathlib import Path
from typing import Any

import redis

from destination.runtime.store import connect
from tests.chaos.installation import Installation, until
from tests.chaos.ordeal import Ordeal
from tests.chaos.proxy import Weather
from tests.chaos.scenarios.scenario import scenario
from tests.chaos.traffic import message


@scenario("F05")
def redis_killed_many_times(ordeal: Ordeal) -> None:
    """Twenty times under load."""
    with ordeal.posting(800, batch=5, threads=4) as poster:
        for number in range(20):
            poster.wait(30 * number, 90)
            ordeal.installation.kill("redis")


@scenario("F06")
def redis_gone_for_a_while(ordeal: Ordeal) -> None:
    """Callers hear 503 in time, and what had to wait goes on by itself."""
    installation = ordeal.installation
    installation.fault("later", match={"method": "POST"}, status=503, times=4)
    with ordeal.posting(200, batch=5):
        time.sleep(1)
        with installation.redis_gone():
            time.sleep(12)


@scenario("F07")
def redis_stopped_for_shorter_and_longer(ordeal: Ordeal) -> None:
    """From a hiccup to longer than everybody's timeout."""
    with ordeal.posting(300, batch=5):
        for seconds in (0.7, 1.5, 6, 12):
            with ordeal.installation.stopped("redis"):
                time.sleep(seconds)
            time.sleep(1)


@scenario("F08")
def redis_full(ordeal: Ordeal) -> None:
    """Refused before it is full; what is there drains, dead letters included."""
    installation = ordeal.installation
    client = installation.client()
    bad = ordeal.traffic.take(1, kind="track")
    ordeal.doom(bad)
    installation.control("switches", {"limits": "off"})
    match = {"method": "POST", "body_contains": f'"{bad[0].id}"'}
    installation.fault("bad row", match=match, status=400)
    slow = installation.fault("slow", match={"method": "POST"}, delay=1, times=3)
    ordeal.post([*bad, *ordeal.traffic.take(100)])
    client.config_set("maxmemory", int(client.info("memory")["used_memory"]) - 10_000)
    try:
        with ordeal.posting(20):
            assert installation.drained(60), installation.logs()
            time.sleep(2)
            client.config_set("maxmemory", 0)
    finally:
        client.config_set("maxmemory", 0)
    assert slow.number
    installation.control("switches", {"limits": "on"})
    installation.count("redis full", 1)


@scenario("F09")
def redis_refuses_in_all_ways(ordeal: Ordeal) -> None:
    """A replica, busy with a script, asking for a password, without enough replicas."""
    installation = ordeal.installation
    client = installation.client()
    installation.disturb("redis refuses")
    with ordeal.posting(200, batch=4):
        client.config_set("min-replicas-to-write", 1)
        time.sleep(2)
        client.config_set("min-replicas-to-write", 0)
        client.replicaof("127.0.0.1", "1")
        time.sleep(2)
        client.replicaof("NO", "ONE")
        client.config_set("busy-reply-threshold", 100)
        _busy(installation.redis.url, 2)
        time.sleep(3)
        client.config_set("requirepass", "sesame")
        client.client_kill_filter(_type="normal", skipme=True)
        time.sleep(2)
        client.config_set("requirepass", "")
    installation.disturb("end of redis refuses")
    installation.count("redis refuses", 4)


@scenario("F09")
def redis_that_cannot_save(ordeal: Ordeal) -> None:
    """Its snapshot fails, so it refuses every write (MISCONF), with requests under way: 503 and
    /ready says so until it can save again; what was under way goes on.
    """
    installation = ordeal.installation
    client: Any = installation.client()
    slow = {"method": "POST"}
    installation.fault("slow answers", match=slow, delay=1, times=3)
    ordeal.post(60, batch=5)
    # Where a folder stands no snapshot can be put, not even by root.
    dump = Path(client.config_get("dir")["dir"]) / client.config_get("dbfilename")["dbfilename"]
    dump.unlink(missing_ok=True)
    dump.mkdir()
    installation.disturb("redis cannot save")
    client.config_set("save", "1 1")
    client.bgsave()
    try:
        until(lambda: _refuses_writes(client), 10, "Redis goes on writing")
        until(lambda: _ready(installation) == 503, 5, "/ready goes on saying 200")
        with ordeal.posting(60, batch=5) as poster:
            time.sleep(4)
            codes = {(each.status, each.code) for each in poster.trips}
            assert codes == {(503, "queue_unavailable")}, f"answered {codes}"
            assert _ready(installation) == 503
            dump.rmdir()  # Redis tries again by itself, every five seconds
        until(lambda: _ready(installation) == 200, 10, "/ready goes on saying 503")
    finally:
        client.config_set("save", "")
    installation.disturb("end of redis cannot save")
    installation.count("snapshot failed", 1)


def _refuses_writes(client: Any) -> bool:
    try:
        client.delete("nothing")
    except redis.ResponseError as error:
        return str(error).startswith("MISCONF")
    return False


def _ready(installation: Installation) -> int:
    return installation.http.get(f"{installation.server}/ready").status_code


FULL, FILLER = 200_000_000, 145
"""Bytes that Redis may use while it is filled, and the megabytes that are taken from the start: there
is room for a second's events between the watermark, looked at twice a second, and the end.
"""


@scenario("F08", patience=120, alone=True)
def redis_filling_up(ordeal: Ordeal) -> None:
    """Klaviyo is silent and events go on coming: 503 long before Redis itself must refuse."""
    installation = ordeal.installation
    client = installation.client()
    # In pieces: a single command of that size would itself take as much again while it is read.
    fillers = [f"filler:{number}" for number in range(FILLER)]
    for name in fillers:
        client.set(name, b"x" * 1_000_000)
    client.config_set("maxmemory", FULL)
    filling = [message("track", n, n % 40, tag="fill", filler="x" * 10_000) for n in range(6_000)]
    try:
        with ordeal.posting(filling, threads=1, patience=120) as poster:
            with installation.stopped("sandbox"):
                until(lambda: any(each.status == 503 for each in poster.trips), 60, "never refused")
                time.sleep(3)
            assert poster.answered() < len(filling), "all was accepted"
        refusals = {(each.code, each.message) for each in poster.trips if each.status == 503}
        assert {code for code, _message in refusals} == {"queue_full"}, f"refused as {refusals}"
    finally:
        client.config_set("maxmemory", 0)
        client.delete(*fillers)
    installation.count("redis filled", 1)


def _busy(url: str, seconds: float) -> None:
    """Keep Redis in a script for so long, from another connection."""
    script = """
        local start = redis.call('TIME')
        local began = start[1] * 1000 + start[2] / 1000
        repeat
          local now = redis.call('TIME')
        until now[1] * 1000 + now[2] / 1000 > began + tonumber(ARGV[1])
    """

    def run() -> None:
        with connect(url) as client:
            client.eval(script, 0, str(int(seconds * 1000)))

    threading.Thread(target=run, daemon=True).start()


@scenario("F09")
def redis_loading(ordeal: Ordeal) -> None:
    """Killed with so much in it that it takes a while to read it again."""
    installation = ordeal.installation
    client: Any = installation.client()
    fill = "for i = 1, 300000 do redis.call('SET', 'filler:' .. i, string.rep('x', 50)) end"
    client.eval(fill, 0)
    with ordeal.posting(200, batch=4) as poster:
        for number in (10, 60):
            poster.wait(number)
            installation.kill("redis")
    empty = "for i = 1, 300000 do redis.call('DEL', 'filler:' .. i) end"
    client.eval(empty, 0)
    installation.count("redis loading", 2)


@scenario("F10")
def the_append_only_file_switched_off(ordeal: Ordeal) -> None:
    """What is only in memory is not accepted; and all is well when the file is back."""
    installation = ordeal.installation
    client = installation.client()
    client.config_set("appendonly", "no")
    until(lambda: _ready(installation) == 503, 5, "/ready goes on saying 200")
    with ordeal.posting(60, batch=5) as poster:
        until(lambda: len(poster.trips) > 4, 10, "nothing was posted")
        assert not poster.answered(), "accepted without a file"
        client.config_set("appendonly", "yes")
    until(lambda: _ready(installation) == 200, 20, "/ready goes on saying 503")
    installation.count("no file", 1)


@scenario("F10")
def the_append_only_file_cut_short(ordeal: Ordeal) -> None:
    """A power cut in the middle of a write: the torn command goes, everything before it stays."""
    installation = ordeal.installation
    ordeal.post(60)
    assert installation.drained(40), installation.logs()
    with installation.redis_gone():
        files = sorted((installation.folder / "redis").rglob("*.incr.aof"))
        with files[-1].open("ab") as file:
            file.write(b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$5\r\nto")
    installation.wait_ready()
    ordeal.post(40)
    installation.count("torn file", 1)


@scenario("F11")
def the_due_lanes_lost(ordeal: Ordeal) -> None:
    """The set that wakes lanes is of a wrong type, then gone: the sweeper makes it again."""
    installation = ordeal.installation
    client = installation.client()
    installation.fault("slow", match={"method": "POST"}, delay=0.5, times=6)
    with ordeal.posting(100, batch=5):
        time.sleep(0.5)
        installation.disturb("wrong type in redis")
        client.set("destination:due", "nonsense")
        time.sleep(2)
        client.delete("destination:due")
        installation.disturb("end of wrong type in redis")
    installation.count("wrong type", 1)


@scenario("F11", alone=True, judged=False)
def everything_in_redis_lost(ordeal: Ordeal) -> None:
    """FLUSHALL under load: nobody crashes, and what comes afterwards is delivered."""
    installation = ordeal.installation
    with ordeal.posting(100, batch=5):
        installation.client().flushall()
    before = installation.counts()["sources"].get("default", {}).get("accepted", 0)
    ordeal.post(50)
    assert installation.drained(40), installation.logs()
    assert installation.counts()["sources"]["default"]["accepted"] == before + 50
    assert not installation.deaths, installation.deaths


@scenario("F12")
def no_room_for_the_append_only_file(ordeal: Ordeal) -> None:
    """The file may not grow: Redis must not say yes to what it cannot write."""
    installation = ordeal.installation
    files = sorted((installation.folder / "redis").rglob("*.incr.aof"))
    most = files[-1].stat().st_size + 20_000
    resource.prlimit(installation.pid("redis"), resource.RLIMIT_FSIZE, (most, most))
    with ordeal.posting(300, batch=5):
        time.sleep(2)
    installation.count("file full", 1)


@scenario("F07 F27")
def a_bad_cable_to_redis(ordeal: Ordeal) -> None:
    """Delays, resets, answers cut short, and a black hole."""
    installation = ordeal.installation
    proxy = installation.redis_proxy
    with ordeal.posting(300, batch=4):
        for name, weather, seconds in (
            ("slow redis", Weather(delay=0.05), 2.0),
            ("redis resets after", Weather(reset="after", times=6), 1.0),
            ("redis resets before", Weather(reset="before", times=6), 1.0),
            ("redis cut", Weather(cut=3, times=6), 1.0),
            ("redis trickles", Weather(trickle=0.01, times=3), 2.0),
            ("redis swallows", Weather(black_hole=True), 8.0),
        ):
            with installation.weather(proxy, weather, name):
                time.sleep(seconds)
            time.sleep(1)
