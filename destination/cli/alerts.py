"""``destination alerts list|test``."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import click

from destination.cli.parts import redis_of
from destination.event import encode
from destination.runtime.alerts.alerting import alert_json, firing
from destination.runtime.alerts.conditions import Alert
from destination.runtime.alerts.notices import Notice, form_of, post
from destination.runtime.store import connect
from destination.settings import load_settings


@click.group()
def alerts() -> None:
    """See what is wrong, and find out whether alerts arrive."""


@alerts.command("list")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def list_(form: str) -> None:
    """List the alerts that fire now; status 1 when there are any."""
    client = connect(redis_of(load_settings()))
    try:
        found = firing(client)
    finally:
        client.close()
    for alert, since in found.items():
        if form == "json":
            click.echo(encode(alert_json(alert, since)))
        else:
            when = datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%d %H:%M:%S")
            click.echo(f"{when}  {alert.name}: {alert.message}")
    if form == "text" and not found:
        click.echo("no alert fires")
    if found:
        raise SystemExit(1)


@alerts.command()
def test() -> None:
    """Post a test alert to DESTINATION_ALERT_URL and say whether it was taken."""
    settings = load_settings()
    if settings.alert_url is None:
        raise click.UsageError("DESTINATION_ALERT_URL is not set; alerts are only logged")
    url, secret, now = settings.alert_url.get_secret_value(), settings.alert_secret, time.time()
    form = settings.alert_form or form_of(url)
    notice = Notice("test", Alert("test", message="This is a test of Destination."), now, now)
    wrong = post(
        url, notice, form=form, secret=secret.get_secret_value() if secret else None, now=now
    )
    if wrong:
        click.echo(f"the test alert was not taken: {wrong}", err=True)
        raise SystemExit(1)
    click.echo(f"the test alert was taken, in the form {form!r}")
