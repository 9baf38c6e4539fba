"""How long it takes from a command to its use."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.installation import Installation, Plan, free_port
from benchmarks.load import Generator, Load
from benchmarks.machine import environ, python, until
from benchmarks.report import Report, Run
from destination.runtime.local.embedded import EmbeddedRedis


def measure(report: Report) -> None:
    """The server alone, a worker until it delivers what waits, the embedded Redis, all together."""
    name, many = "cold start", "cold start with 100 connections"
    for _ in report.runs(name, many):
        report.add(name, Run(1, 0.0, {**_parts(1), "redis s": _redis(), "up s": _up()}))
        report.add(many, Run(1, 0.0, _parts(100)))


def _parts(connections: int) -> dict[str, float]:
    with Installation(Plan(workers=0, connections=connections)) as installed:
        Generator(Load(installed.port, "track", 1, 1, 1, "cold", 1)).post()
        began = time.monotonic()
        installed.start_workers(1)
        installed.settle()
        delivered = installed.seen().first - began
        return {"server ready s": installed.ready_seconds, "worker delivers s": delivered}


def _redis() -> float:
    with tempfile.TemporaryDirectory(prefix="dst-bench-") as folder:
        began = time.monotonic()
        with EmbeddedRedis(Path(folder)):
            return time.monotonic() - began


def _up() -> float:
    """``destination up`` with its own Redis and sandbox until it takes events."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="dst-bench-") as folder:
        began = time.monotonic()
        command = python("destination", "up", "--port", str(port))
        process = subprocess.Popen(
            command, cwd=folder, env=environ(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            until(lambda: _answers(port), 30, lambda: "`destination up` is not ready", 0.005)
            return time.monotonic() - began
        finally:
            process.terminate()
            process.wait(30)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/ready", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
