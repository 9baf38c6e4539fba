"""``python -m destination.sandbox [--host H] [--port P] [--ledger FILE] [--scripts] [--no-limits]``."""

from __future__ import annotations

import argparse
from pathlib import Path

from destination.sandbox.server import run
from destination.sandbox.switches import Switches


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m destination.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--key", help="a private key to know from the start")
    parser.add_argument("--ledger", type=Path, help="file to keep and resume the state from")
    parser.add_argument("--scripts", action="store_true", help="honour __script in the data")
    parser.add_argument("--no-limits", action="store_true", help="switch rate limits off")
    given = parser.parse_args()
    switches = Switches(scripts=given.scripts, limits="off" if given.no_limits else "on")
    run(given.host, given.port, seed_key=given.key, ledger=given.ledger, switches=switches)


if __name__ == "__main__":
    main()
