"""Several processes as one: started, restarted when they die, stopped in order, none left behind."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from destination.runtime.local.tether import Tether, descendants, kill, kill_group, watch_parent

__all__ = ["GIVE_UP", "Child", "Supervisor", "watch_parent"]

GIVE_UP = 2
"""Exit status of a child that no restart would help: wrong use, unusable settings or data."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds before a dead child starts again: doubled each time, up to the second."""
SETTLED = 10.0
"""Seconds alive after which a death counts as the first."""
STOP_WITHIN = 9.0
"""Seconds in which everything is down, whatever the children do."""
HURRIED = 0.5
"""Seconds that a stage of children gets once the operator has asked twice."""
LOOK = 1.0
"""Seconds after which the children are looked at even if no signal said so."""


@dataclass(frozen=True, slots=True)
class Child:
    """One process to keep running.

    ``env`` is added to ours. Lower ``order`` stops first and starts last. ``grace`` is how many
    seconds it has after ``stop_signal`` before it is killed. ``log`` takes its output, appended;
    without it the output is ours.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    order: int = 0
    grace: float = 4.0
    log: Path | None = None


@dataclass(slots=True)
class _Run:
    """A child's present process, or the moment at which it gets one."""

    child: Child
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    due: float = 0.0
    pause: float = FIRST_PAUSE

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self, tether: Tether) -> None:
        with contextlib.ExitStack() as stack:
            log = self.child.log
            output = stack.enter_context(log.open("ab")) if log else None
            self.process = tether.spawn(self.child.argv, self.child.env, output)
        self.started = time.monotonic()

    def bury(self) -> int:
        """Note that the process has ended; gives its status."""
        assert self.process is not None
        status = self.process.wait()
        kill_group(self.process.pid)
        now = time.monotonic()
        if now - self.started >= SETTLED:
            self.pause = FIRST_PAUSE
        self.due = now + self.pause
        self.pause = min(2 * self.pause, LONGEST_PAUSE)
        self.process = None
        return status


def _report(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class Supervisor:
    """Keeps ``children`` running until a signal; for the main thread of a process.

    As a context manager it starts them and stops them. SIGINT, SIGTERM and SIGHUP ask it to stop,
    a second one to hurry. ``report`` gets sentences for the operator.
    """

    def __init__(
        self, children: Iterable[Child], *, report: Callable[[str], None] = _report
    ) -> None:
        self._runs = [_Run(child) for child in sorted(children, key=lambda each: -each.order)]
        self._report = report
        self._asked = 0
        self._calm = 0  # as many signals are no reason to hurry
        self._status = 0
        self._before: dict[signal.Signals, Any] = {}

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

    @property
    def asked_to_stop(self) -> bool:
        """True once a signal came or a child gave up."""
        return self._asked > 0

    def pids(self) -> dict[str, int]:
        """The process id of each child that has one now."""
        return {run.child.name: run.process.pid for run in self._runs if run.process}

    def start(self) -> None:
        """Start every child, the highest ``order`` first. Raises ``OSError`` when one cannot be."""
        self._tether = Tether()
        self._listen()
        try:
            for run in self._runs:
                run.start(self._tether)
        except OSError:
            self.stop()
            raise

    def wait_ready(self, check: Callable[[], bool], timeout: float) -> bool:
        """Tend the children until ``check`` is true; False when asked to stop before.

        Raises ``TimeoutError`` after ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while not self.asked_to_stop:
            if check():
                return True
            if time.monotonic() > deadline:
                raise TimeoutError(f"not ready within {timeout:g} s")
            self._tend()
            self._sleep(0.02)
        return False

    def run_until_signal(self) -> int:
        """Tend the children until asked to stop, and stop them.

        Gives 0 after a signal, or the status of the child that gave up.
        """
        while not self.asked_to_stop:
            self._tend()
            self._sleep(self._until_due())
        self.stop()
        return self._status

    def stop(self) -> None:
        """Stop every child, stage by stage in ``order``, within ``STOP_WITHIN`` seconds."""
        self._calm = min(self._asked, 1)
        end = time.monotonic() + STOP_WITHIN
        stages = [list(stage) for _, stage in groupby(self._runs[::-1], lambda r: r.child.order)]
        for index, stage in enumerate(stages):
            later = len(stages) - index - 1
            self._stop_stage([run for run in stage if run.process], end - HURRIED * later)
        if self._before:
            self._tether.cut()
            self._stop_listening()

    def _stop_stage(self, stage: Sequence[_Run], end: float) -> None:
        below: dict[int, int] = {}
        for run in stage:
            if run.process and run.alive:
                below |= descendants(run.process.pid)
                run.process.send_signal(run.child.stop_signal)
        end = min(end, time.monotonic() + max((run.child.grace for run in stage), default=0))
        while any(run.alive for run in stage) and time.monotonic() < end:
            if self._asked > self._calm:
                end = min(end, time.monotonic() + HURRIED)
            self._sleep(max(0.0, end - time.monotonic()))
        for run in stage:
            if run.process and run.alive:
                self._report(f"{run.child.name} did not stop and is killed")
                run.process.kill()
            run.bury()
        for pid, session in below.items():
            kill(pid, session)

    def _tend(self) -> None:
        """Start again what has ended, when its pause is over."""
        for run in self._runs:
            if run.process is None:
                if time.monotonic() >= run.due:
                    self._start_again(run)
            elif not run.alive:
                self._mourn(run)

    def _start_again(self, run: _Run) -> None:
        try:
            run.start(self._tether)
        except OSError as error:  # no more processes or descriptors to have at the moment
            run.due = time.monotonic() + LONGEST_PAUSE
            self._report(f"{run.child.name} cannot start: {error}; next try in {LONGEST_PAUSE:g} s")

    def _mourn(self, run: _Run) -> None:
        pause = run.pause
        status = run.bury()
        how = f"by signal {signal.Signals(-status).name}" if status < 0 else f"with {status}"
        if status == GIVE_UP:
            self._report(f"{run.child.name} cannot go on (see above); everything stops")
            self._asked, self._status = max(self._asked, 1), status
        else:
            self._report(f"{run.child.name} ended {how}; it starts again in {pause:g} s")

    def _until_due(self) -> float:
        now = time.monotonic()
        return min((max(0.0, r.due - now) for r in self._runs if r.process is None), default=LOOK)

    def _sleep(self, seconds: float) -> None:
        """Wait so long, or until a signal comes (SIGCHLD is one)."""
        select.select([self._woken], [], [], min(seconds, LOOK))
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 1024)

    def _listen(self) -> None:
        self._woken, self._waking = os.pipe()
        for end in (self._woken, self._waking):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._waking, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._ask)
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)

    def _stop_listening(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
        signal.set_wakeup_fd(-1)
        os.close(self._woken)
        os.close(self._waking)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked += 1
