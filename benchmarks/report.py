"""What was measured, as a table and as JSON: medians of several runs with their spread."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

Choice = TypeVar("Choice")
OWN = ("server", "worker", "redis")
"""The processes that are the product's."""


@dataclass(slots=True)
class Run:
    """One run: ``events`` in ``seconds``, other figures by name, CPU seconds by process."""

    events: int
    seconds: float
    figures: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)

    def all_figures(self) -> dict[str, float]:
        """Every figure by name; CPU as seconds per 100,000 events."""
        rate = {"events/s": self.events / self.seconds} if self.seconds else {}
        used = {f"cpu {name} s/100k": by / self.events * 1e5 for name, by in self.cpu.items() if by}
        capacity = self._capacity() if self.seconds else {}
        return {**rate, **capacity, **self.figures, **used}

    def _capacity(self) -> dict[str, float]:
        """What two cores could do that had nothing else to do: no load generator, no neighbours.

        A process, with one worker, runs on one core at a time.
        """
        own = [by for name, by in self.cpu.items() if name in OWN]
        if len(own) < len(OWN):
            return {}
        return {"events/s by CPU alone": self.events / max(sum(own) / 2, *own)}


class Report:
    """Collects runs, prints each measurement when it is complete."""

    def __init__(self, machine: dict[str, Any], *, runs: int, quick: bool, file: str = "") -> None:
        self.machine = machine
        self.file = file
        self.quick = quick
        self._runs = runs
        self._choices: dict[str, list[str]] = {}
        self.measured: dict[str, list[Run]] = {}
        self.section = ""
        self.workers = 1

    def choose(self, name: str, values: Sequence[str]) -> None:
        """Measure only these of what ``name`` may be."""
        self._choices[name] = list(values)

    def only(self, name: str, values: Sequence[Choice]) -> list[Choice]:
        """Those of ``values`` that were asked for; all unless some were."""
        asked = self._choices.get(name)
        return [value for value in values if asked is None or str(value) in asked]

    def scaled(self, count: int, least: int = 1000) -> int:
        """A number of events, smaller in a quick run."""
        return max(least, count // 5) if self.quick else count

    def runs(self, *names: str) -> Iterator[int]:
        """The numbers of the runs of measurements, which are printed after the last."""
        yield from range(self._runs)
        for name in names:
            self.show(name)

    def add(self, name: str, run: Run) -> None:
        """Note one run."""
        self.measured.setdefault(f"{self.section}: {name}", []).append(run)

    def show(self, name: str) -> None:
        """Print a measurement."""
        print(name)
        for figure, (middle, least, most) in self.summary(f"{self.section}: {name}").items():
            print(f"    {figure:<28}{_number(middle):>12}   [{_number(least)} .. {_number(most)}]")

    def summary(self, name: str) -> dict[str, tuple[float, float, float]]:
        """Median, least and most of each figure."""
        found: dict[str, list[float]] = {}
        for run in self.measured[name]:
            for figure, value in run.all_figures().items():
                found.setdefault(figure, []).append(value)
        return {
            figure: (statistics.median(values), min(values), max(values))
            for figure, values in found.items()
        }

    def resume(self, path: Path) -> None:
        """Go on where an earlier report of the same commit stopped."""
        if not path.exists():
            return
        document = json.loads(path.read_text())
        earlier = document["machine"]["commit"]
        if earlier != self.machine["commit"]:
            raise SystemExit(f"{path} is of commit {earlier}; write to another file")
        for name, measured in document["measured"].items():
            self.measured[name] = [Run(**run) for run in measured["runs"]]

    def write(self, path: Path) -> None:
        """All runs and their medians as JSON."""
        document = {
            "machine": self.machine,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "measured": {
                name: {
                    "median": {k: v[0] for k, v in self.summary(name).items()},
                    "least": {k: v[1] for k, v in self.summary(name).items()},
                    "most": {k: v[2] for k, v in self.summary(name).items()},
                    "runs": [asdict(run) for run in runs],
                }
                for name, runs in self.measured.items()
            },
        }
        path.write_text(json.dumps(document, indent=1) + "\n")


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
