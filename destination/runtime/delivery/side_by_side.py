"""Tasks that run at once, as far as there are threads for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence


def side_by_side(
    tasks: Sequence[Callable[[], None]],
    most: int,
    thread: Callable[..., threading.Thread] = threading.Thread,
) -> None:
    """Run all tasks, up to ``most`` at once, and return when every one has ended.

    The calling thread takes part, so that a process which may start no more threads is slow and
    nothing else. Raises what a task has raised, of several the first.
    """
    waiting = iter(tasks)
    lock = threading.Lock()
    errors: list[Exception] = []

    def work() -> None:
        while True:
            with lock:
                task = next(waiting, None)
            if task is None:
                return
            try:
                task()
            except Exception as error:  # noqa: BLE001 raised below, when all have ended
                errors.append(error)

    started = []
    for _ in range(min(most, len(tasks)) - 1):
        helping = thread(target=work, name="send")
        try:
            helping.start()
        except RuntimeError:
            break  # no more can be started
        started.append(helping)
    work()
    for helping in started:
        helping.join()
    if errors:
        raise errors[0]
