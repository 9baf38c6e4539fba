"""Every route held against our own description: requests good and bad, and no answer that it lacks.

All of it, for minutes, against a server that is running::

    schemathesis run http://127.0.0.1:8080/openapi.json -H 'X-Write-Key: dev'
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from destination.runtime.routes.openapi import operations
from tests.acceptance.stack import KEY, Stack

TOKEN = "an-admin-token-of-the-tests"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Stack]:
    """The server with Redis and Klaviyo, and without a worker: nothing here waits for one."""
    found = Stack(tmp_path)
    found.environ["DESTINATION_ADMIN_TOKEN"] = TOKEN
    try:
        found.redis.start()
        found.start("sandbox")
        found.start("serve")
        found.wait_ready()
        yield found
    finally:
        found.down()


@pytest.mark.parametrize("phase", ["coverage", "fuzzing"])
def test_no_route_answers_what_it_does_not_describe(server: Stack, phase: str) -> None:
    """Nor with 5xx, nor in another shape. The same requests in every run."""
    same = [each.path for each in operations() if each.summary.startswith("The same as")]
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from schemathesis.cli import schemathesis as s; s()"),
            *("run", f"{server.server}/openapi.json", "--phases", phase, "--max-examples", "6"),
            *("--generation-deterministic", "--no-color"),
            *("--checks", ",".join(CHECKS), "--include-method", "GET", "--include-method", "POST"),
            *(option for path in same for option in ("--exclude-path", path)),
            *("-H", f"X-Write-Key: {KEY}", "-H", f"Authorization: Bearer {TOKEN}"),
        ],
        cwd=server.folder,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}\n{server.logs()}"
    tried = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert tried, done.stdout[-2000:]
    assert int(tried[1]) == int(tried[2]) > 200
