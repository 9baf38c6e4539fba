"""The ``destination`` command: what an operator types, a file per concern."""

from __future__ import annotations

import sys

import click

from destination import __version__
from destination.cli.alerts import alerts
from destination.cli.audience import audience
from destination.cli.dead import dead
from destination.cli.doctor import doctor
from destination.cli.erase import erase_
from destination.cli.estimate import estimate
from destination.cli.mappings import check, export, import_, try_
from destination.cli.parts import sandbox, serve, work
from destination.cli.rows import rows
from destination.cli.run import demo, up
from destination.cli.status import status, tail
from destination.errors import DestinationError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="destination")
def cli() -> None:
    """A self-hosted, Segment-style webhook destination server for Klaviyo.

    Settings come from arguments, the environment, .env and destination.toml;
    `destination status --settings` prints them all.
    """


for command in (
    up,
    demo,
    serve,
    work,
    sandbox,
    check,
    try_,
    import_,
    export,
    dead,
    erase_,
    alerts,
    status,
    doctor,
    tail,
    rows,
    estimate,
    audience,
):
    cli.add_command(command)


def main() -> None:
    """Run a command: status 0 all well, 1 the thing checked failed, 2 wrong use."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except DestinationError as error:
        click.echo(f"destination: {error}", err=True)
        sys.exit(2)


__all__ = ["cli", "main"]
