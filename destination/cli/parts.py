"""``serve``, ``work``, ``sandbox``: the parts alone, for several machines."""

from __future__ import annotations

from pathlib import Path

import click

from destination.errors import SettingsError
from destination.runtime.local.embedded import EmbeddedRedis
from destination.runtime.local.tether import watch_parent
from destination.runtime.logs import configure
from destination.settings import Settings, load_settings


def redis_of(settings: Settings) -> str:
    """The Redis in use: the one set, or the embedded one that runs in the data folder.

    Raises ``SettingsError`` when there is none.
    """
    if settings.redis_url:
        return settings.redis_url
    embedded = EmbeddedRedis(settings.data_dir)
    if not embedded.ready():
        raise SettingsError(
            "REDIS_URL is not set and no embedded Redis runs in"
            f" {str(settings.data_dir)!r}. Set it, or start everything with `destination up`."
        )
    return embedded.url


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True)
@click.option("--reuse-port", is_flag=True, help="Share the port with other servers that say so.")
def serve(host: str, port: int, reuse_port: bool) -> None:
    """Run the server alone: it takes events in and stores them."""
    from destination.runtime.server import serve as run  # noqa: PLC0415 start-up time of others

    watch_parent()
    settings = load_settings()
    configure(settings.log_level, settings.log_format)
    run(settings, redis_of(settings), host, port, reuse_port=reuse_port)


@click.command()
@click.option("--queues", default="destination", show_default=True, help="The RQ queue to work on.")
def work(queues: str) -> None:
    """Run one worker: it sends what is stored, in batches, to Klaviyo."""
    from destination.runtime import queue  # noqa: PLC0415 as above

    if queues != queue.QUEUE:
        raise click.UsageError(f"there is one queue, {queue.QUEUE!r}; with two, RQ can lose a job")
    watch_parent()
    settings = load_settings()
    configure(settings.log_level, settings.log_format)
    queue.work(settings, redis_of(settings))


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8090, show_default=True)
@click.option("--ledger", type=click.Path(path_type=Path), help="Keep all in this file.")
def sandbox(host: str, port: int, ledger: Path | None) -> None:
    """Run the sandbox: an imitation of Klaviyo's API."""
    from destination.sandbox import run  # noqa: PLC0415 as above

    watch_parent()
    run(host, port, ledger=ledger)
