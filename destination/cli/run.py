"""``destination up`` and ``destination demo``."""

from __future__ import annotations

from pathlib import Path

import click

from destination.cli.demo import report
from destination.errors import SettingsError
from destination.runtime.local.up import Running, running
from destination.settings import DEVELOPMENT, Settings, is_loopback, load_settings


def _options(command: click.decorators.FC) -> click.decorators.FC:
    for option in (
        click.option("--data-dir", type=click.Path(path_type=Path), help="State; .destination"),
        click.option("--mappings", type=click.Path(path_type=Path), help="Mapping file or folder."),
        click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64)),
        click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535)),
        click.option("--host", default="127.0.0.1", show_default=True),
    ):
        command = option(command)
    return command


def _settings(host: str, mappings: Path | None, data_dir: Path | None) -> Settings:
    """The settings; on loopback the write key is ``dev`` until one is set."""
    defaults = DEVELOPMENT if is_loopback(host) else {}
    settings = load_settings(
        defaults={**defaults, "log_format": "console"}, mappings=mappings, data_dir=data_dir
    )
    if not settings.write_key and not any(s.write_keys for s in settings.sources.values()):
        raise SettingsError(
            f"DESTINATION_WRITE_KEY is not set, and {host} can be reached from other machines."
            " Set it to a long random text."
        )
    for warning in settings.warnings:
        click.echo(f"warning: {warning}", err=True)
    return settings


@click.command()
@_options
def up(host: str, port: int, workers: int, mappings: Path | None, data_dir: Path | None) -> None:
    """Run everything on this machine: server, worker, scheduler; Redis and the sandbox unless set.

    An embedded Redis is started unless REDIS_URL is set, and the sandbox stands in for Klaviyo
    unless KLAVIYO_API_KEY is set.
    """
    with running(_settings(host, mappings, data_dir), host, port, workers) as parts:
        _say_where(parts)
        parts.supervisor.run_until_signal()


@click.command()
@_options
@click.option("--once", is_flag=True, help="End when all samples have reached their end state.")
def demo(
    host: str, port: int, workers: int, mappings: Path | None, data_dir: Path | None, once: bool
) -> None:
    """Run everything on the sandbox, post sample traffic and show what became of it."""
    settings = _settings(host, mappings, data_dir)
    settings = settings.model_copy(
        update={
            "klaviyo_api_key": None,
            "log_level": "warning",
            "connections": {
                name: connection.model_copy(update={"klaviyo_api_key": None})
                for name, connection in settings.connections.items()
            },
        }
    )
    with running(settings, host, port, workers) as parts:
        settled = report(parts, settings)
        if once:
            raise SystemExit(0 if settled else 1)
        _say_where(parts)
        parts.supervisor.run_until_signal()


def _say_where(parts: Running) -> None:
    click.echo(f"\nServing on {parts.server} (post Segment events to {parts.server}/v1/batch)")
    click.echo(f"Counts: {parts.server}/admin/counts   Metrics: {parts.server}/metrics")
    if parts.sandbox:
        click.echo(f"Sandbox Klaviyo: {parts.sandbox}/sandbox")
    click.echo("Ctrl-C stops everything.")
