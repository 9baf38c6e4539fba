"""Supervision of real processes: restarts, stops, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from destination.runtime.local.processes import Child, Supervisor
from destination.runtime.local.tether import descendants

STUBBORN = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
WATCHED = "from destination.runtime.local.processes import watch_parent; watch_parent(0.3);"
SAY = "import os, sys, pathlib; pathlib.Path(sys.argv[1]).write_text(str(os.getpid()));"
REST = "import time; time.sleep(60)"


def python(program: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", program, *map(str, arguments)]


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is only not yet collected does not."""
    proc = Path("/proc")
    if (proc / "self").exists():
        status = proc / str(pid) / "stat"
        return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
    listed = subprocess.run(
        ["/bin/ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout.strip()[:1] not in ("", "Z")


def written(path: Path) -> int:
    """The process id that a child writes when it is ready."""
    until(lambda: path.exists() and path.read_text())
    return int(path.read_text())


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def outer(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Starts a supervisor of its own, from the text of its list of children."""
    started: list[subprocess.Popen[bytes]] = []

    def start(children: str) -> subprocess.Popen[bytes]:
        program = (
            "import sys; from destination.runtime.local.processes import Child, Supervisor\n"
            f"with Supervisor({children}) as supervisor:\n"
            "    sys.exit(supervisor.run_until_signal())"
        )
        started.append(subprocess.Popen(python(program), cwd=tmp_path, start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_killed_child_starts_again(tmp_path: Path, said: list[str]) -> None:
    """Kill -9 costs the first pause and changes the process id."""
    child = Child("worker", python(SAY + REST, tmp_path / "pid"))
    with Supervisor([child], report=said.append) as supervisor:
        first = written(tmp_path / "pid")
        os.kill(first, signal.SIGKILL)
        assert supervisor.wait_ready(
            lambda: supervisor.pids().get("worker") not in (None, first), 5
        )
        second = supervisor.pids()["worker"]
    assert said == ["worker ended by signal SIGKILL; it starts again in 0.2 s"]
    assert not alive(second)


def test_pauses_grow_while_a_child_keeps_dying(said: list[str]) -> None:
    """A child that cannot live is not hammered."""
    with Supervisor([Child("worker", python("exit(1)"))], report=said.append) as supervisor:
        supervisor.wait_ready(lambda: len(said) >= 3, 10)
    assert [text.split()[-2] for text in said[:3]] == ["0.2", "0.4", "0.8"]
    assert "ended with 1" in said[0]


def test_lower_orders_stop_first(tmp_path: Path) -> None:
    """What others need goes last: the server, then the worker, then the store."""
    ready, log = tmp_path / "ready", tmp_path / "log"
    program = (
        "import signal, sys\n"
        "def stop(*_):\n"
        "    open(sys.argv[2], 'a').write(sys.argv[1] + '\\n'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "open(sys.argv[3], 'a').write('.')\n" + REST
    )
    names = {"store": 2, "server": 0, "worker": 1}
    children = [Child(n, python(program, n, log, ready), order=o) for n, o in names.items()]
    with Supervisor(children) as supervisor:
        supervisor.wait_ready(lambda: ready.exists() and len(ready.read_text()) == 3, 10)
    assert log.read_text().split() == ["server", "worker", "store"]


def test_a_stubborn_child_is_killed_with_all_below_it(tmp_path: Path, said: list[str]) -> None:
    """Grandchildren go too, even one in a session of its own as RQ's work-horses are."""
    grandchild = f"{STUBBORN}{SAY}{REST}"
    program = (
        f"{STUBBORN}import subprocess\n"
        "for path in sys.argv[2:]:\n"
        "    subprocess.Popen([sys.executable, '-c', sys.argv[1], path],\n"
        "                     start_new_session=path.endswith('apart'))\n" + REST
    )
    pids = [tmp_path / "near", tmp_path / "apart"]
    child = Child("worker", python(program, grandchild, *pids), grace=0.2)
    with Supervisor([child], report=said.append) as supervisor:
        below = [written(path) for path in pids]
        assert sorted(descendants(supervisor.pids()["worker"])) == sorted(below)
        below.append(supervisor.pids()["worker"])
    until(lambda: not any(map(alive, below)), 2)
    assert said == ["worker did not stop and is killed"]


def test_a_child_that_gives_up_stops_everything(said: list[str]) -> None:
    """Unusable settings are not retried for ever; the status is handed on."""
    children = [Child("server", python("exit(2)")), Child("worker", python(REST))]
    with Supervisor(children, report=said.append) as supervisor:
        worker = supervisor.pids()["worker"]
        assert supervisor.run_until_signal() == 2
    assert said == ["server cannot go on (see above); everything stops"]
    assert not alive(worker)


def test_waiting_ends_with_a_timeout_that_names_it() -> None:
    """A check that never comes true does not hang a start."""
    with (
        Supervisor([Child("server", python(REST))]) as supervisor,
        pytest.raises(TimeoutError, match=r"0\.05 s"),
    ):
        supervisor.wait_ready(lambda: False, 0.05)


def test_a_program_that_is_not_there_is_told_at_once() -> None:
    """Nothing that was already started stays behind."""
    supervisor = Supervisor([Child("a", python(REST), order=1), Child("b", ["/not/there"])])
    with pytest.raises(FileNotFoundError):
        supervisor.start()
    assert supervisor.pids() == {}


def test_output_goes_to_the_childs_log(tmp_path: Path) -> None:
    """A log is appended to over restarts."""
    log = tmp_path / "log"
    child = Child("worker", python("print('here', flush=True)"), log=log)
    with Supervisor([child], report=lambda _: None) as supervisor:
        supervisor.wait_ready(lambda: log.exists() and log.read_text().count("here") == 2, 10)
    assert log.read_text() == "here\n" * 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_and_the_status_is_0(
    tmp_path: Path, outer: Callable[[str], subprocess.Popen[bytes]], number: signal.Signals
) -> None:
    """Ctrl-C, a service manager and a closed terminal alike."""
    argv = python(SAY + REST, tmp_path / "pid")
    supervisor = outer(f"[Child('worker', {argv!r})]")
    worker = written(tmp_path / "pid")
    supervisor.send_signal(number)
    assert supervisor.wait(10) == 0
    assert not alive(worker)


def test_a_second_ctrl_c_hurries(
    tmp_path: Path, outer: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    """Whoever asks twice does not wait for the grace of a stubborn child."""
    program = (
        "import pathlib, signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: pathlib.Path(sys.argv[2]).touch())\n"
        f"{SAY}\n"
        "while True: signal.pause()"
    )
    pid, termed = tmp_path / "pid", tmp_path / "termed"
    supervisor = outer(f"[Child('worker', {python(program, pid, termed)!r}, grace=60)]")
    worker = written(pid)
    asked = time.monotonic()
    supervisor.send_signal(signal.SIGINT)
    until(termed.exists)
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(10) == 0
    assert time.monotonic() - asked < 4
    assert not alive(worker)


def test_nothing_is_left_when_the_supervisor_is_killed(
    tmp_path: Path, outer: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    """Kill -9 of the supervisor stops a polite child at once and a stubborn one soon after."""
    polite = python(WATCHED + SAY + REST, tmp_path / "polite")
    stubborn = python(STUBBORN + WATCHED + SAY + REST, tmp_path / "stubborn")
    supervisor = outer(f"[Child('polite', {polite!r}), Child('stubborn', {stubborn!r})]")
    pids = [written(tmp_path / "polite"), written(tmp_path / "stubborn")]
    supervisor.kill()
    until(lambda: not any(map(alive, pids)), 5)


def test_a_process_without_supervisor_is_left_alone() -> None:
    """`destination serve` by hand, even with standard input closed, stays up."""
    ended = subprocess.run(
        python(WATCHED + "import threading; print(threading.active_count())"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    assert ended.stdout == b"1\n"
