"""The machine that is measured on, and what its processes cost."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


def measured_cores() -> list[int]:
    """The cores of the installation that is measured: two."""
    return cores()[:2]


def other_cores() -> list[int]:
    """The cores of load generator and imitation: the others, or the same where there are no more."""
    return cores()[2:] or cores()


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of this tree."""
    return [sys.executable, "-m", module, *arguments]


def environ(**more: str) -> dict[str, str]:
    """The environment of every process: modules come from this tree, settings from here only."""
    names = ("PATH", "HOME", "LANG", "TMPDIR", "XDG_RUNTIME_DIR", "VIRTUAL_ENV")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}


def cpu_seconds(pid: int) -> float:
    """What a process has used until now, in user and system mode, with all its threads.

    Its CPU clock counts nanoseconds; ``/proc/PID/stat`` would count hundredths of a second.
    """
    return time.clock_gettime((~pid << 3) | 2)  # what clock_getcpuclockid(3) gives on Linux


def peak_rss(pid: int) -> float:
    """The most memory that a process has held, in MB."""
    return _status(pid, "VmHWM")


def rss(pid: int) -> float:
    """The memory that a process holds, in MB."""
    return _status(pid, "VmRSS")


def _status(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0.0


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share lies; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def until(check: Callable[[], Any], seconds: float, what: Callable[[], str], every: float) -> Any:
    """The value of ``check`` once it is true. Raises ``TimeoutError`` with ``what``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(every)
    raise TimeoutError(f"after {seconds:g} s: {what()}")


def described(redis_version: str = "") -> dict[str, Any]:
    """What a result must be read with."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": len(cores()),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "redis": redis_version,
        "libraries": {
            name: version(name) for name in ("uvicorn", "redis", "rq", "httpx", "msgspec")
        },
        "commit": commit(),
        "load_before": os.getloadavg()[0],
    }


def commit() -> str:
    """The commit of this tree, with ``+`` where it has been changed since."""
    asked = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--abbrev=12"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False)
    return told.stdout.strip() or os.environ.get("COMMIT", "")


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, least and most."""
    return statistics.median(values), min(values), max(values)
