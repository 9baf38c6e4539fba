"""``destination doctor``: is everything set up so that deliveries will arrive?"""

from __future__ import annotations

from collections.abc import Iterator

import click

from destination.cli.parts import redis_of
from destination.errors import SettingsError
from destination.event import encode
from destination.klaviyo.doctor import Finding
from destination.runtime.doctor import Line, checkup
from destination.settings import Settings, load_settings

COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command()
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def doctor(form: str) -> None:
    """Check Redis, mappings, and each connection's key, scopes, API revision and lists.

    Sends nothing that changes anything. Status 1 when there is a problem.
    """
    settings = load_settings()
    lines: list[Line] = []
    for line in _lines(settings):
        lines.append(line)
        if form == "text":
            _print(*line)
    count = {state: sum(found.state == state for _, found in lines) for state in COLOURS}
    if form == "json":
        click.echo(encode({"findings": [_json(*line) for line in lines], **count}))
    else:
        click.echo(f"{count['problem']} problems, {count['warning']} warnings, {count['ok']} ok")
    if count["problem"]:
        raise SystemExit(1)


def _lines(settings: Settings) -> Iterator[Line]:
    try:
        redis_url = redis_of(settings)
    except SettingsError as error:
        yield "", Finding("redis", "problem", str(error))
        redis_url = None
    yield from checkup(settings, redis_url)


def _print(connection: str, found: Finding) -> None:
    state = click.style(f"{found.state:<8}", fg=COLOURS[found.state])
    place = f"{connection} {found.check}".strip()
    click.echo(f"{state} {place}: {found.message}")
    if found.remedy:
        click.echo(f"{'':9}{found.remedy}")


def _json(connection: str, found: Finding) -> dict[str, str]:
    return {
        "connection": connection,
        "check": found.check,
        "state": found.state,
        "message": found.message,
        "remedy": found.remedy,
    }
