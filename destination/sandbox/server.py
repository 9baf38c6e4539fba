"""The sandbox as a process of its own."""

from __future__ import annotations

from pathlib import Path

import uvicorn

from destination.sandbox.app import create_app
from destination.sandbox.switches import Switches


def run(
    host: str,
    port: int,
    *,
    seed_key: str | None = None,
    ledger: Path | None = None,
    switches: Switches | None = None,
) -> None:
    """Serve the sandbox at ``host:port`` until the process is told to stop.

    ``seed_key`` is a private key to know from the start (others that begin with ``pk_`` are let in
    too, unless a switch forbids it); ``ledger`` a file from which an earlier life is resumed.
    """
    app = create_app(key=seed_key, ledger=ledger, switches=switches)
    uvicorn.run(
        app,
        host=host,
        port=port,
        http="httptools",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=3,
    )
