"""The product's own command with a deliberate bug or a point of death put into it.

``python -m tests.chaos.saboteur [--bug NAME] [--crash POINT --flag FILE] -- work ...``
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from destination.cli import main as product
from tests.chaos.bugs import BUGS
from tests.chaos.crashes import POINTS, arm


def main() -> None:
    """Put it in and run."""
    at = sys.argv.index("--")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bug", choices=sorted(BUGS))
    parser.add_argument("--crash", choices=sorted(POINTS))
    parser.add_argument("--flag", type=Path)
    given = parser.parse_args(sys.argv[1:at])
    if given.bug:
        BUGS[given.bug]()
    if given.crash:
        arm(given.crash, given.flag)
    sys.argv = ["destination", *sys.argv[at + 1 :]]
    product()


if __name__ == "__main__":
    main()
