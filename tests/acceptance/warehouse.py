"""An installation for rows: mappings that take them, and the commands that post them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from destination.event import encode
from tests.acceptance.stack import KEY, Stack

PERSON = {
    name: {"@path": f"$.properties.{name}"} for name in ("email", "phone_number", "external_id")
}


def _mapping(name: str, action: str, trigger: str, **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "action": action,
        "trigger": f'type = "track" and {trigger}',
        "fields": fields,
        "batch": {"enabled": True, "wait_seconds": 0},
    }


OF = "context.source.object"
MAPPINGS = {
    "name": "rows",
    "mappings": [
        _mapping(
            "profile",
            "upsertProfile",
            f'{OF} = "profile" and event != "deleted"',
            **PERSON,
            first_name={"@path": "$.properties.first_name"},
            location={"city": {"@path": "$.properties.city"}},
            properties={"age": {"@path": "$.properties.age"}},
        ),
        _mapping(
            "list-add",
            "addProfileToList",
            f'{OF} = "list" and event != "deleted"',
            **PERSON,
            first_name={"@path": "$.properties.first_name"},
            list_id={"@path": "$.context.source.id"},
        ),
        _mapping(
            "list-remove",
            "removeProfileFromList",
            f'{OF} = "list" and event = "deleted"',
            **PERSON,
            list_id={"@path": "$.context.source.id"},
        ),
        _mapping(
            "event",
            "trackEvent",
            f'{OF} = "event"',
            metric_name={"@path": "$.properties.metric_name"},
            profile={"email": {"@path": "$.properties.email"}},
            properties={},
            unique_id={"@path": "$.messageId"},
        ),
    ],
}


@contextmanager
def warehouse() -> Iterator[Stack]:
    """A fresh installation whose mappings are for rows alone."""
    with tempfile.TemporaryDirectory(prefix="dst") as folder:
        found = Stack(Path(folder))
        for file in found.mappings.glob("*.json"):
            file.unlink()
        (found.mappings / "rows.json").write_bytes(encode(MAPPINGS))
        try:
            found.up()
            yield found
        finally:
            found.down()


def start(stack: Stack, *arguments: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """Start the ``destination`` command in this installation's folder."""
    environ = {
        **os.environ,
        "REDIS_URL": stack.redis.url,
        "KLAVIYO_API_URL": stack.sandbox,
        "KLAVIYO_API_KEY": "pk_test",
        "DESTINATION_WRITE_KEY": KEY,
        "DESTINATION_MAPPINGS": str(stack.mappings),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "destination", *arguments],
        env=environ,
        cwd=stack.folder,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        preexec_fn=_heed_interrupts,  # noqa: PLW1509 nothing here starts threads that hold locks
    )


def _heed_interrupts() -> None:
    """A test run in the background ignores Ctrl-C, and what it starts would inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(stack: Stack, *arguments: str) -> tuple[int, str, str]:
    """Run it to its end: status, standard output, standard error."""
    process = start(stack, *arguments)
    out, err = process.communicate(timeout=50)
    assert "Traceback" not in err, err
    return process.returncode, out, err
