"""The product's own command with a deliberate bug or a point of death put into it.

``python -m tests.chaos.saboteur [--bug NAME] [--crash POINT --flag FILE] -- work ...``; with
``--check`` instead it tries whether every bug and point can be put in, each in a fork.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from destination.cli import main as product
from destination.runtime import store
from tests.chaos.bugs import BUGS
from tests.chaos.crashes import POINTS, arm

SCRIPTS = ("accept", "begin", "commit", "dispatch", "renew")
"""The Lua that bugs change: it is only changed when it is read."""


def put_in(bug: str | None, crash: str | None, flag: Path) -> None:
    """Put a bug and a point of death in. Raises ``Outdated``."""
    if bug:
        BUGS[bug]()
        for script in SCRIPTS:
            store.script_text(script, 7)
    if crash:
        arm(crash, flag)


def check() -> int:
    """How many can no longer be put in."""
    failed = 0
    for bug, crash in (*((bug, None) for bug in BUGS), *((None, point) for point in POINTS)):
        child = os.fork()
        if not child:
            try:
                put_in(bug, crash, Path("unused"))
            except Exception as error:  # noqa: BLE001 told to whoever asked
                sys.stderr.write(f"{bug or crash}: {type(error).__name__}: {error}\n")
                os._exit(1)
            os._exit(0)
        failed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
    return failed


def main() -> None:
    """Put it in and run."""
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bug", choices=sorted(BUGS))
    parser.add_argument("--crash", choices=sorted(POINTS))
    parser.add_argument("--flag", type=Path, default=Path("crashed"))
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args(sys.argv[1:at])
    if given.check:
        sys.exit(check())
    put_in(given.bug, given.crash, given.flag)
    sys.argv = ["destination", *sys.argv[at + 1 :]]
    product()


if __name__ == "__main__":
    main()
