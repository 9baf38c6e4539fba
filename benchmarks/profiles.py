"""Where the time goes: server and worker are sampled while they work (needs ``py-spy`` on PATH)."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path

from benchmarks import end_to_end
from benchmarks.installation import Installation, Plan
from benchmarks.report import Report, Run

RATE = 250
FRAME = re.compile(r"^(?P<function>.*) \((?P<file>.*?)(?::\d+)?\)$")
SHOWN = 14
OUTERMOST = 0.95
"""Functions around everything say nothing."""

Shares = list[tuple[str, float]]


def measure(report: Report) -> None:
    """Singles and batches of 100, end to end, with the profiles of both processes."""
    if shutil.which("py-spy") is None:
        print("left out: install py-spy (pip install py-spy) for profiles")
        return
    for shape in report.only("shape", ("single", "batch")):
        kind, size, connections, events = end_to_end.SHAPES[shape]
        name = end_to_end.TITLES[shape]
        with Installation(Plan()) as installed:
            for _ in report.runs(name):
                watched = [
                    _Sampler(installed.folder, process, pid)
                    for process, pid in installed.pids().items()
                    if process == "server" or process.startswith("worker")
                ]
                run = end_to_end.one(
                    installed, kind, size, connections, report.scaled(events), report
                )
                report.add(name, Run(run.events, run.seconds, {}, run.cpu))
                for sampler in watched:
                    sampler.show(name)


class _Sampler:
    """py-spy on one process; it samples the thread that holds the interpreter, so no waiting."""

    def __init__(self, folder: Path, name: str, pid: int) -> None:
        self._name = name
        self._file = folder / f"{name}.profile"
        command = ["py-spy", "record", "-p", str(pid), "-r", str(RATE), "-d", "3600"]
        command += ["-f", "raw", "-o", str(self._file), "--nolineno", "--gil"]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def show(self, title: str) -> None:
        """Print what was seen."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)
        own, within = shares(self._file.read_text().splitlines())
        print(f"\n{self._name}, {title}: share of its time")
        print("  in a package itself" + " " * 33 + "in a function of ours and all it calls")
        for left, right in zip(own, within, strict=False):
            print(f"  {left[1]:6.1%} {left[0]:<44} {right[1]:6.1%} {right[0]}")


def shares(stacks: list[str]) -> tuple[Shares, Shares]:
    """Shares of the samples by package, and by function of ours with what it calls."""
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in stacks:
        stack, _, times = line.rpartition(" ")
        frames = [FRAME.match(frame) for frame in stack.split(";")]
        known = [(each["function"], each["file"]) for each in frames if each]
        if not known:
            continue
        own[_package(known[-1][1])] += int(times)
        ours = {f"{_package(file)} {name}" for name, file in known if "destination/" in file}
        within.update(dict.fromkeys(ours, int(times)))
    return _greatest(own, own.total()), _greatest(within, own.total())


def _greatest(counted: Counter[str], total: int) -> Shares:
    found = [(name, times / total) for name, times in counted.most_common()]
    return [each for each in found if each[1] < OUTERMOST][:SHOWN]


def _package(file: str) -> str:
    """Our own files by path, others by package."""
    parts = Path(file.partition("site-packages/")[2] or file).parts
    if "destination" in parts:
        return "/".join(parts[parts.index("destination") + 1 :])
    return parts[0] if "site-packages" in file else "/".join(parts[-2:])
