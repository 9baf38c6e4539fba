"""The ``destination`` command."""

from __future__ import annotations

import click


@click.group()
def main() -> None:
    """A self-hosted, Segment-style webhook destination server for Klaviyo."""
